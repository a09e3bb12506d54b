# Sourced by the other scripts: Debian packages by purpose, and installing those that are missing.

PACKAGES_BUILD="gcc libc6-dev make cmake ninja-build pkg-config libzmq3-dev libczmq-dev libmicrohttpd-dev
    libcjson-dev libpcre2-dev libssl-dev libcurl4-openssl-dev libsqlite3-dev libgnutls28-dev libidn2-dev
    libseccomp-dev libutf8proc-dev libxml2-dev libzip-dev"
PACKAGES_RUN="$PACKAGES_BUILD curl ca-certificates poppler-utils poppler-data"
PACKAGES_TEST="$PACKAGES_RUN clang libclang-rt-14-dev clang-format libcmocka-dev zlib1g-dev python3 python3-pytest
    python3-pytest-timeout python3-pytest-xdist python3-zmq python3-jsonschema openssl procps tesseract-ocr"

# say TEXT: one line about what this script does.
say() {
    if [ -t 1 ]; then
        printf '\033[1m==>\033[0m %s\n' "$*"
    else
        printf '==> %s\n' "$*"
    fi
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# install_missing PACKAGE…: with apt-get, as root or through sudo; does nothing where all are there.
install_missing() {
    local missing=() package
    command -v dpkg-query >/dev/null || fail "this script installs packages with apt-get: it wants Debian 12 or a relative"
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "not installed: ${missing[*]} — run this as root, or install sudo"
        as_root=(sudo)
    fi
    say "Installing: ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
        fail "apt-get update failed: see above"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null || fail "apt-get install failed: see above"
}
