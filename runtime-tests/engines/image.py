"""Makes an image of a root file system, as `docker save` would write it, without any registry.

    image.py ROOTFS NAME:TAG ARCHIVE [COMMAND...]

$CONFIG may have more of the image's configuration, as JSON.
"""

import hashlib, io, json, os, sys, tarfile


def main():
    rootfs, name, archive, *command = sys.argv[1:]
    layer = archive + ".layer"
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(os.listdir(rootfs)):
            tar.add(os.path.join(rootfs, entry), entry)
    digest = hashlib.sha256()
    with open(layer, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Cmd": command or ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "FROM_IMAGE=yes"],
                   **json.loads(os.environ.get("CONFIG", "{}"))},
        "history": [{"created_by": "image.py"}],  # Podman 4 counts the layers in it
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest.hexdigest()]},
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, "layer.tar")
        for file, data in [(config_name, config), ("manifest.json", manifest)]:
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    os.remove(layer)


main()
