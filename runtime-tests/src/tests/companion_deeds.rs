//! Commands about images, volumes and networks, as faults meet them: what each needs, what it makes,
//! and what it says when that is there already.

use runtime_tests::archive::Tar;
use runtime_tests::call::Call;
use runtime_tests::registry::Server;
use runtime_tests::site::{IMAGE, SEEDS, Site};

pub(crate) const LONG: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];

/// A volume that is filled from the image, one without a name, and a port of a network of its own.
pub(crate) const FLAGS: &[&str] = &[
    "-i",
    "--name",
    "k1",
    "-v",
    "data:/srv",
    "-v",
    "/anonymous",
    "--network",
    "net1",
    "-p",
    "127.0.0.1:8080:80",
];

pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) server: Server,
}

/// A command that something comes between.
pub(crate) struct Deed {
    /// What there has to be before.
    pub(crate) before: fn(&Scene),
    pub(crate) call: fn(&Scene) -> Call,
    /// What it says when it had done its work before it was killed; empty when that is no error.
    pub(crate) done: &'static str,
    /// Makes the next one possible after that.
    pub(crate) undo: fn(&Scene),
    /// What there has to be after it.
    pub(crate) after: fn(&Scene),
}

fn nothing(_: &Scene) {}

impl Deed {
    /// After it was cut off, whether it had done its work or not.
    pub(crate) fn works_again(&self, scene: &Scene) {
        let again = (self.call)(scene).output();
        if again.code != 0 {
            assert!(!self.done.is_empty(), "it does not work any more");
            again.assert_stderr_has(self.done);
            (self.undo)(scene);
            (self.call)(scene).ok();
        }
    }
}

impl Scene {
    pub(crate) fn new(site: Site) -> Self {
        let server = site.registry();
        Self { site, server }
    }

    pub(crate) fn has_image(&self) {
        if self.site.list(&["images", "-q"]).is_empty() {
            self.site.load().ok();
        }
    }

    pub(crate) fn has_no_image(&self) {
        for name in self.site.list(&["images", "--format", "{{.Repository}}:{{.Tag}}"]) {
            self.site.call(&["rmi", "-f", &name]).ok();
        }
    }

    pub(crate) fn has_network(&self) {
        self.has_image();
        self.site.call(&["network", "create", "net1"]).ok();
    }

    pub(crate) fn has_container(&self) {
        self.has_network();
        self.site.run(&["run", "-d"], FLAGS, &LONG).ok();
    }

    fn ran(&self) {
        self.site.call(&["exec", "k1", "true"]).ok();
        self.volume_is_filled();
    }

    fn volume_is_filled(&self) {
        let data = self.site.home().join("volumes/data/_data");
        assert_eq!(std::fs::read_dir(data).expect("a volume").count(), SEEDS);
    }
}

pub(crate) const PULL: Deed = Deed {
    before: Scene::has_no_image,
    call: |scene| scene.site.call(&["pull", "-q", &scene.server.name(IMAGE)]),
    done: "",
    undo: nothing,
    after: |scene| assert_eq!(scene.site.list(&["images", "-q"]).len(), 1),
};

pub(crate) const LOAD: Deed = Deed { call: |scene| scene.site.load(), ..PULL };

pub(crate) const COMMIT: Deed = Deed {
    before: |scene| {
        scene.has_image();
        let flags = ["--network", "none", "--name", "k1"];
        scene.site.run(&["run"], &flags, &["sh", "-c", "cat /bin/busybox > /new"]).ok();
    },
    call: |scene| scene.site.call(&["commit", "k1", "made:1"]),
    done: "",
    undo: nothing,
    after: |scene| {
        let layers = |name| scene.site.inspect("image", name)["RootFS"]["Layers"].clone();
        let count = |name| layers(name).as_array().map(Vec::len);
        assert_eq!(count("made:1"), count(IMAGE).map(|count| count + 1));
    },
};

pub(crate) const IMPORT: Deed = Deed {
    before: nothing,
    call: |scene| {
        let files = Tar::new().file("one", &[b'x'; 200_000]).file("two", b"2");
        scene.site.call(&["import", "-", "made:1"]).stdin(files.bytes())
    },
    done: "",
    undo: nothing,
    after: |scene| assert_eq!(scene.site.inspect("image", "made:1")["Size"], 200_001),
};

pub(crate) const TAG: Deed = Deed {
    before: Scene::has_image,
    call: |scene| scene.site.call(&["tag", IMAGE, "other:2"]),
    done: "",
    undo: nothing,
    after: |scene| {
        for name in [IMAGE, "other:2"] {
            scene.site.inspect("image", name);
        }
        scene.site.call(&["rmi", "other:2"]).ok();
    },
};

pub(crate) const RMI: Deed = Deed {
    before: Scene::has_image,
    call: |scene| scene.site.call(&["rmi", IMAGE]),
    done: "not in the store",
    undo: Scene::has_image,
    after: |scene| assert!(scene.site.list(&["images", "-q"]).is_empty()),
};

pub(crate) const RUN: Deed = Deed {
    before: Scene::has_network,
    call: |scene| scene.site.run(&["run", "-d"], FLAGS, &LONG),
    done: "another container has that name",
    undo: |scene| drop(scene.site.call(&["rm", "-f", "-v", "k1"]).ok()),
    after: Scene::ran,
};

pub(crate) const RUN_TO_END: Deed = Deed {
    call: |scene| scene.site.run(&["run", "--rm"], FLAGS, &["true"]),
    after: Scene::volume_is_filled,
    ..RUN
};

pub(crate) const CREATE: Deed = Deed {
    call: |scene| scene.site.run(&["create"], FLAGS, &LONG),
    after: |scene| {
        scene.site.call(&["start", "k1"]).ok();
        scene.ran();
    },
    ..RUN
};

pub(crate) const RM: Deed = Deed {
    before: Scene::has_container,
    call: |scene| scene.site.call(&["rm", "-f", "-v", "k1"]),
    done: "no such container",
    undo: |scene| drop(scene.site.run(&["run", "-d"], FLAGS, &LONG).ok()),
    after: |scene| assert!(scene.site.list(&["ps", "-aq"]).is_empty()),
};

pub(crate) const NETWORK_CREATE: Deed = Deed {
    before: nothing,
    call: |scene| scene.site.call(&["network", "create", "net1"]),
    done: "already exists",
    undo: |scene| drop(scene.site.call(&["network", "rm", "net1"]).ok()),
    after: |scene| drop(scene.site.inspect("network", "net1")),
};

pub(crate) const NETWORK_RM: Deed = Deed {
    before: Scene::has_network,
    call: |scene| scene.site.call(&["network", "rm", "net1"]),
    done: "not found",
    undo: Scene::has_network,
    after: |scene| assert_eq!(scene.site.list(&["network", "ls", "-q"]).len(), 3),
};

pub(crate) const VOLUME_CREATE: Deed = Deed {
    before: nothing,
    call: |scene| scene.site.call(&["volume", "create", "data"]),
    done: "",
    undo: nothing,
    after: |scene| drop(scene.site.inspect("volume", "data")),
};

pub(crate) const VOLUME_RM: Deed = Deed {
    before: |scene| {
        scene.has_image();
        scene.site.run(&["run", "--rm"], &["--network", "none", "-v", "data:/srv"], &["true"]).ok();
    },
    call: |scene| scene.site.call(&["volume", "rm", "data"]),
    done: "no such volume",
    undo: |scene| drop(scene.site.call(&["volume", "create", "data"]).ok()),
    after: |scene| assert!(scene.site.list(&["volume", "ls", "-q"]).is_empty()),
};

pub(crate) const PRUNE: Deed = Deed {
    before: |scene| {
        scene.has_container();
        scene.site.call(&["kill", "k1"]).ok();
        scene.site.call(&["wait", "k1"]).ok();
    },
    call: |scene| scene.site.call(&["system", "prune", "-af", "--volumes"]),
    done: "",
    undo: nothing,
    after: |scene| assert!(scene.site.list(&["images", "-q"]).is_empty()),
};

pub(crate) const STOP: Deed = Deed {
    before: Scene::has_container,
    call: |scene| scene.site.call(&["stop", "k1"]),
    done: "",
    undo: nothing,
    after: |scene| {
        let state = scene.site.inspect("container", "k1")["State"].clone();
        assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &0.into()));
    },
};

pub(crate) const CONNECT: Deed = Deed {
    before: |scene| {
        scene.has_container();
        scene.site.call(&["network", "create", "net2"]).ok();
    },
    call: |scene| scene.site.call(&["network", "connect", "net2", "k1"]),
    done: "is on network net2 already",
    undo: |scene| drop(scene.site.call(&["network", "disconnect", "net2", "k1"]).ok()),
    after: |scene| assert_eq!(networks(scene).len(), 2),
};

pub(crate) const DISCONNECT: Deed = Deed {
    before: |scene| {
        (CONNECT.before)(scene);
        (CONNECT.call)(scene).ok();
    },
    call: |scene| scene.site.call(&["network", "disconnect", "net2", "k1"]),
    done: "is not on network net2",
    undo: |scene| drop((CONNECT.call)(scene).ok()),
    after: |scene| assert_eq!(networks(scene), ["net1"]),
};

/// Those whose links the container has.
fn networks(scene: &Scene) -> Vec<String> {
    let links = scene.site.list(&["exec", "k1", "ls", "/sys/class/net"]);
    let state = scene.site.inspect("container", "k1")["NetworkSettings"]["Networks"].clone();
    let names: Vec<String> = state.as_object().expect("networks").keys().cloned().collect();
    assert_eq!(links.len(), names.len() + 1, "{links:?} {names:?}");
    names
}
