//! A registry of the suite's own that takes pushes: in one piece or in several, with what it has got of
//! a cut one. It believes what it is told of blobs, so that a tag which lacks some can be seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::archive::digest;
use crate::registry::{Answer, Body, Pushed, Request, Server};

/// How a registry deals with uploads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manners {
    /// The location of an upload is a URL.
    pub absolute: bool,
    /// Blobs are taken from other repositories.
    pub mounts: bool,
    /// What it says is the smallest piece, in bytes.
    pub least: Option<usize>,
    /// An upload that was cut is forgotten.
    pub forgets: bool,
}

#[derive(Debug, Default)]
pub struct Kept {
    /// By repository and digest.
    pub blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest, with the media type.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: usize,
}

/// A place where images are left and fetched.
#[derive(Debug, Clone, Default)]
pub struct Depot {
    kept: Arc<Mutex<Kept>>,
    manners: Manners,
}

impl Depot {
    pub fn new(manners: Manners) -> Self {
        Self { kept: Arc::default(), manners }
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("lock")
    }

    /// Puts an image there, for somebody to pull.
    pub fn leave(&self, repository: &str, tag: &str, image: &Pushed) {
        let mut kept = self.kept();
        let named = |name: &str| (repository.to_owned(), name.to_owned());
        for blob in &image.blobs {
            kept.blobs.insert(named(&digest(blob)), blob.clone());
        }
        let manifest = (image.kind.to_owned(), image.manifest.clone());
        for name in [tag, &digest(&image.manifest)] {
            kept.manifests.insert(named(name), manifest.clone());
        }
    }

    /// A server of it whose answers `change` may change, which sees them before they are given; and
    /// `take` how much of a body comes.
    pub fn serve(
        &self,
        take: impl Fn(&Request) -> Body + Send + Sync + 'static,
        change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let depot = self.clone();
        Server::taking(take, move |request| change(request, depot.answer(request)))
    }

    /// Blobs which a tag needs and its repository lacks.
    pub fn lacking(&self) -> Vec<String> {
        let kept = self.kept();
        let mut lacking = Vec::new();
        for ((repository, tag), (_, manifest)) in &kept.manifests {
            let manifest: Value = serde_json::from_slice(manifest).expect("a manifest");
            let layers = manifest["layers"].as_array().expect("layers");
            for part in layers.iter().chain([&manifest["config"]]) {
                let name = part["digest"].as_str().expect("a digest").to_owned();
                let found = kept.blobs.get(&(repository.clone(), name.clone()));
                if found.is_none_or(|blob| digest(blob) != name) {
                    lacking.push(format!("{repository}:{tag} {name}"));
                }
            }
        }
        lacking
    }

    pub fn answer(&self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let said = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let Some(path) = path.strip_prefix("/v2/").filter(|path| !path.is_empty()) else {
            return Answer::of(200, "application/json", b"{}");
        };
        if let Some((repository, id)) = path.split_once("/blobs/uploads/") {
            return match id {
                "" => self.begin(request, repository, said("mount").zip(said("from"))),
                id => self.upload(request, repository, id, said("digest")),
            };
        }
        let mut kept = self.kept();
        if let Some((repository, name)) = path.split_once("/blobs/") {
            let found = kept.blobs.get(&(repository.to_owned(), name.to_owned()));
            let kind = "application/octet-stream";
            return found
                .map_or_else(|| error(404, "BLOB_UNKNOWN"), |blob| Answer::of(200, kind, blob));
        }
        let Some((repository, name)) = path.split_once("/manifests/") else {
            return error(404, "NAME_UNKNOWN");
        };
        let named = |name: &str| (repository.to_owned(), name.to_owned());
        if request.method == "PUT" {
            let manifest = (request.headers["content-type"].clone(), request.body.clone());
            let digest = digest(&request.body);
            kept.manifests.insert(named(&digest), manifest.clone());
            kept.manifests.insert(named(name), manifest);
            return Answer::of(201, "", b"").header("Docker-Content-Digest", &digest);
        }
        match kept.manifests.get(&named(name)) {
            Some((kind, bytes)) => Answer::of(200, kind, bytes),
            None => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn begin(&self, request: &Request, to: &str, mount: Option<(String, String)>) -> Answer {
        let mut kept = self.kept();
        if let Some((name, from)) = mount.filter(|_| self.manners.mounts)
            && let Some(blob) = kept.blobs.get(&(from, name.clone())).cloned()
        {
            kept.blobs.insert((to.to_owned(), name), blob);
            return Answer::of(201, "", b"");
        }
        kept.begun += 1;
        let id = kept.begun.to_string();
        kept.uploads.insert(id.clone(), Vec::new());
        let answer = self.located(202, request, to, &id);
        match self.manners.least {
            Some(least) => answer.header("OCI-Chunk-Min-Length", &least.to_string()),
            None => answer,
        }
    }

    fn located(&self, status: u16, request: &Request, repository: &str, id: &str) -> Answer {
        let path = format!("/v2/{repository}/blobs/uploads/{id}?state=x");
        let host = &request.headers["host"];
        let location = if self.manners.absolute { format!("http://{host}{path}") } else { path };
        Answer::of(status, "", b"").header("Location", &location)
    }

    fn upload(
        &self,
        request: &Request,
        repository: &str,
        id: &str,
        last: Option<String>,
    ) -> Answer {
        let mut kept = self.kept();
        let Some(got) = kept.uploads.get_mut(id) else { return error(404, "BLOB_UPLOAD_UNKNOWN") };
        if request.method == "PATCH" {
            let from =
                request.headers.get("content-range").and_then(|range| range.split('-').next());
            if from.is_some_and(|from| from != got.len().to_string()) {
                return error(416, "RANGE_INVALID");
            }
        }
        got.extend_from_slice(&request.body);
        let length = got.len();
        let is_cut = request
            .headers
            .get("content-length")
            .is_some_and(|length| *length != request.body.len().to_string());
        if is_cut && self.manners.forgets {
            kept.uploads.remove(id);
            return Answer::default();
        }
        let Some(wanted) = last.filter(|_| request.method == "PUT" && !is_cut) else {
            let status = if request.method == "GET" { 204 } else { 202 };
            let range = format!("0-{}", length.saturating_sub(1));
            return self.located(status, request, repository, id).header("Range", &range);
        };
        let blob = kept.uploads.remove(id).expect("found above");
        if digest(&blob) != wanted {
            return error(400, "DIGEST_INVALID");
        }
        kept.blobs.insert((repository.to_owned(), wanted), blob);
        Answer::of(201, "", b"")
    }
}

/// As the specification has it.
pub fn error(status: u16, code: &str) -> Answer {
    let message = format!("told by {code}");
    let body = json!({"errors": [{"code": code, "message": message, "detail": {"field": "x"}}]});
    Answer::of(status, "application/json", body.to_string().as_bytes())
}
