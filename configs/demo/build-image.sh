#!/bin/sh
# Builds the demo image from Debian's busybox-static: no registry, no network; needs tar, sha256sum and busybox.
# usage: build-image.sh OUTPUT.tar [VERSION…]
#
# The archive (docker save format) holds docker.io/troupe/demo:1 and :2 (or the versions named), which share their base
# layer. They answer every request with their version and the name of their pod. Same busybox, same bytes: times and owners are fixed.
set -eu
umask 022

out=${1:?usage: build-image.sh OUTPUT.tar [VERSION…]}
shift
[ $# -gt 0 ] || set -- 1 2
busybox=$(command -v busybox) || { echo "busybox is missing: apt install busybox-static" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # DIRECTORY FILE
  tar --create --file "$2" --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu .
}
digest() { sha256sum "$1" | cut -d ' ' -f 1; }

# The base: busybox under all its names, and the few files a program expects.
base=$work/base
mkdir -p "$base/bin" "$base/etc" "$base/tmp" "$base/root" "$base/var/run"
chmod 1777 "$base/tmp"
cp "$busybox" "$base/bin/busybox"
chmod 755 "$base/bin/busybox"
if ! "$busybox" --list | grep -qx httpd; then
  echo "this busybox has no httpd: apt install busybox-static" >&2
  exit 1
fi
for name in $("$busybox" --list); do
  [ "$name" = busybox ] || ln -sf busybox "$base/bin/$name"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$base/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$base/etc/group"

image=$work/image
mkdir "$image"
pack "$base" "$work/base.tar"
base_id=$(digest "$work/base.tar")
mv "$work/base.tar" "$image/$base_id.tar"

manifest=
for version; do
  app=$work/app-$version
  mkdir -p "$app/www"
  # PID 1 gets no signal it has no handler for, and httpd has none: the shell stays and passes SIGTERM on.
  cat > "$app/server" <<EOF
#!/bin/sh
stop() { kill "\$child" 2>/dev/null; exit 0; }
trap stop TERM INT
echo "troupe demo version $version on \$(hostname)" > /www/index.html
echo ok > /www/healthz
echo "serving version $version on port \${PORT:-8080} as \$(hostname)"
httpd -f -v -p "\${PORT:-8080}" -h /www &
child=\$!
wait "\$child"
EOF
  chmod 755 "$app/server"
  pack "$app" "$work/app.tar"
  app_id=$(digest "$work/app.tar")
  mv "$work/app.tar" "$image/$app_id.tar"
  arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/; s/armv7l/arm/')
  printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH=/bin"],"Cmd":["/server"],"WorkingDir":"/","ExposedPorts":{"8080/tcp":{}}},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' \
    "$arch" "$base_id" "$app_id" > "$work/config"
  config_id=$(digest "$work/config")
  mv "$work/config" "$image/$config_id.json"
  manifest="$manifest${manifest:+,}{\"Config\":\"$config_id.json\",\"RepoTags\":[\"docker.io/troupe/demo:$version\"],\"Layers\":[\"$base_id.tar\",\"$app_id.tar\"]}"
done
printf '[%s]' "$manifest" > "$image/manifest.json"
pack "$image" "$work/out.tar"
mv "$work/out.tar" "$out"
