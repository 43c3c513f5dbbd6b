# Sourced by the other scripts: where things are, and how to become root.  Changes into the checkout.
# shellcheck shell=bash

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# PostgreSQL 15 before a newer one that Debian's pg_config would choose.
DEBIAN_PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

say() {
    printf '==> %s\n' "$*"
}

# Prints the pg_config to use; empty when there is none.
find_pg_config() {
    if [[ -n ${PG_CONFIG:-} ]]; then
        echo "$PG_CONFIG"
    elif [[ -x $DEBIAN_PG_CONFIG ]]; then
        echo "$DEBIAN_PG_CONFIG"
    else
        command -v pg_config || true
    fi
}

# Makes cargo, pgrx and our own programs use one PostgreSQL.
use_postgresql() {
    PG_CONFIG=$(find_pg_config)
    [[ -n $PG_CONFIG ]] || die "no pg_config found: run scripts/setup, or set PG_CONFIG"
    PGRX_PG_CONFIG_PATH=$PG_CONFIG
    export PG_CONFIG PGRX_PG_CONFIG_PATH
}

# rustup's directory is missing in the PATH of some login shells and of most CI machines.
use_cargo() {
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || die "no cargo found: install Rust 1.95 or newer, https://rustup.rs"
    TARGET=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    export TARGET
}

is_root() {
    [[ $(id -u) -eq 0 ]]
}

# True when as_root will work: we are root, sudo asks nothing, or there is a terminal to ask at.
can_be_root() {
    is_root && return
    command -v sudo >/dev/null || return
    sudo -n true 2>/dev/null || [[ -t 0 ]]
}

as_root() {
    if is_root; then "$@"; else sudo "$@"; fi
}
