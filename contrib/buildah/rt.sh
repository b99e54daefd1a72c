# /etc/profile.d/buildah-rt.sh: buildah takes no runtime from containers.conf; this is as --runtime of each run and build
export BUILDAH_RUNTIME=/usr/local/bin/rt
