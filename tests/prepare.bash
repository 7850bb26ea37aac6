# What the scripts that prepare the tests share. Each says what is missing; with CI=true nothing
# may be.

# Runs apt-get where that works without asking.
debian_install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    echo "installing $* with apt-get"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$@"; } \
        </dev/null >/dev/null
}

without() {
    echo "SKIPPED: $1 ($2)" >&2
    [[ ${CI:-} != true ]] || exit 1
}

# Installs pinned packages from PyPI into a directory of their own, unless they are there.
pypi_install() {
    local environment=$1 requirements=$2
    local installed=$environment/installed-requirements.txt
    ! cmp --silent "$requirements" "$installed" || return 0
    rm -rf "$environment"
    python3 -m venv "$environment" 2>/dev/null \
        || { debian_install python3-venv && python3 -m venv --clear "$environment"; } \
        || return 1
    echo "installing $requirements into $environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
        --require-hashes --requirement "$requirements" || return 1
    cp "$requirements" "$installed"
}
