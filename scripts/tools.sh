# Sourced by the other scripts: finds what a step needs and fetches what is missing.
#
# A tool of the right version on PATH is used as it is. Others live in a folder that all clones share, one folder a version.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XDG_CACHE_HOME:-${HOME:?HOME must be set: it is where tools are kept}/.cache}
tools=${TASKSCOPE_TOOLS:-$cache/taskscope/tools}
# Debian keeps servers out of a user's PATH.
PATH=$PATH:/usr/sbin:/sbin

cargo_leptos_version=0.3.10
sqlx_version=0.9.0
cargo_fuzz_version=0.13.2
binaryen_version=132

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# quietly LOG COMMAND…: keeps the output in a file and shows its end only when the command fails.
quietly() {
  local log=$tools/log/$1 status=0
  shift
  mkdir -p "$tools/log"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || { tail -n 25 "$log" >&2; printf '(all of it: %s)\n' "$log" >&2; }
  return "$status"
}

# once COMMAND…: one clone fetches at a time.
once() {
  mkdir -p "$tools" || die "$tools can't be made: set TASKSCOPE_TOOLS to a folder that you may write to."
  if has flock; then
    (flock 9 && "$@") 9>"$tools/.lock"
  else
    "$@"
  fi
}

# --- the system's packages -----------------------------------------------------------------------

# The folder with initdb and postgres, as the server looks for it.
postgres_bin() {
  local dir initdb
  for dir in "${POSTGRES_BIN_DIR:-}" "$(initdb=$(command -v initdb) && dirname "$(readlink -f "$initdb")")" \
    $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
      echo "$dir"
      return
    fi
  done
  return 1
}

chromium_path() {
  local name
  for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome; do
    command -v "$name" && return
  done
  return 1
}

node_is_recent() { has npm && node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' 2>/dev/null; }

python_is_recent() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The Debian packages that bring what is missing of a thing.
missing_packages() {
  case $1 in
    cc) has cc || echo build-essential ;;
    node) node_is_recent || echo nodejs npm ;;
    python) python_is_recent || echo python3 python3-venv ;;
    postgres) postgres_bin >/dev/null || echo postgresql ;;
    psql) has psql || echo postgresql-client ;;
    nats) has nats-server || echo nats-server ;;
    redis) has redis-server || echo redis-server ;;
    chromium) chromium_path >/dev/null || echo chromium fonts-liberation fonts-dejavu-core ;;
    *) die "missing_packages doesn't know $1" ;;
  esac
}

# need_system THING…
need_system() {
  local thing packages=()
  for thing in "$@"; do
    # shellcheck disable=SC2207 # names of packages hold no spaces
    packages+=($(missing_packages "$thing"))
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  has apt-get || die "these Debian packages, or what they are called on this system, must be installed: ${packages[*]}"
  [ "$(id -u)" = 0 ] || die "system packages are missing. Install them, then call this again: sudo apt-get install -y ${packages[*]}"
  say "installing Debian packages: ${packages[*]}"
  case " ${packages[*]} " in *" postgresql "*) keep_debian_from_starting_postgres ;; esac
  once install_packages "${packages[@]}" ||
    die "apt-get could not install them. Is the network up? Try: apt-get update && apt-get install -y ${packages[*]}"
  for thing in "$@"; do
    [ -z "$(missing_packages "$thing")" ] || die "$thing is still missing, or too old, after installing $(missing_packages "$thing")."
  done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold)
  quietly apt-update.log "${apt[@]}" update || say "apt-get update failed; going on with the package lists that are there"
  quietly apt-install.log "${apt[@]}" install "$@"
}

# Debian's package makes and starts a cluster of its own unless it is told not to.
keep_debian_from_starting_postgres() {
  local file=/etc/postgresql-common/createcluster.conf
  [ ! -e "$file" ] || return 0
  mkdir -p "${file%/*}"
  echo 'create_main_cluster = false' >"$file"
}

# --- Rust ----------------------------------------------------------------------------------------

need_rust() {
  has cargo || die "cargo is missing. Install Rust with rustup, then call this again."
  need_system cc
}

need_wasm() {
  need_rust
  [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ] || return 0
  has rustup || die "this Rust can't build for the browser. Install Rust with rustup, or the wasm32-unknown-unknown target of your Rust."
  say "adding the wasm32-unknown-unknown target"
  quietly rustup.log rustup target add wasm32-unknown-unknown ||
    die "the target could not be added. Is the network up? Try: rustup target add wasm32-unknown-unknown"
}

# locked_version CRATE
locked_version() {
  awk -v name="name = \"$1\"" '$0 == name { getline; gsub(/version = |"/, ""); print; exit }' Cargo.lock
}

# need_cargo_tool BINARY CRATE VERSION MINUTES ARGUMENTS…: puts the folder of exactly this version on PATH.
need_cargo_tool() {
  local binary=$1 crate=$2 version=$3
  local root=$tools/$crate-$version
  if [ ! -x "$root/bin/$binary" ]; then
    once install_cargo_tool "$root" "$@"
  fi
  PATH=$root/bin:$PATH
}

install_cargo_tool() {
  local root=$1 binary=$2 crate=$3 version=$4 minutes=$5
  shift 5
  [ ! -x "$root/bin/$binary" ] || return 0
  if cargo binstall -V >/dev/null 2>&1; then
    say "fetching $crate $version"
    quietly "$crate-binstall.log" timeout 300 cargo binstall --no-confirm --disable-strategies compile \
      --root "$root" "$crate@$version" 2>/dev/null && [ -x "$root/bin/$binary" ] && return 0
  fi
  say "building $crate $version into $root: once, about $minutes on two cores"
  (
    unset CARGO_TARGET_DIR RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_INCREMENTAL=false
    quietly "$crate.log" cargo install "$crate" --version "$version" --root "$root" --debug "$@"
  ) || die "$crate $version could not be built. Is the network up, and is rustc $(rustc --version | cut -d' ' -f2) at least $(awk -F'"' '/^rust-version = /{print $2; exit}' Cargo.toml)?"
}

need_cargo_leptos() {
  case "$(cargo-leptos --version 2>/dev/null)" in "cargo-leptos 0.3."*) return ;; esac
  need_cargo_tool cargo-leptos cargo-leptos "$cargo_leptos_version" '6 minutes' --locked --features no_downloads
}

# cargo-leptos takes whichever it finds on PATH, and any version but the one in Cargo.lock fails at the end of the build.
need_wasm_bindgen() {
  local version
  version=$(locked_version wasm-bindgen)
  [ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $version" ] && return
  need_cargo_tool wasm-bindgen wasm-bindgen-cli "$version" '1 minute' --locked --no-default-features --bin wasm-bindgen
}

need_wasm_opt() {
  local version
  version=$(wasm-opt --version 2>/dev/null | sed -n 's/^wasm-opt version \([0-9]*\).*/\1/p') || true
  [ "${version:-0}" -ge 116 ] && return
  need_system node
  local dir=$tools/binaryen-$binaryen_version
  [ -x "$dir/node_modules/.bin/wasm-opt" ] || once install_wasm_opt "$dir"
  PATH=$dir/node_modules/.bin:$PATH
}

install_wasm_opt() {
  [ ! -x "$1/node_modules/.bin/wasm-opt" ] || return 0
  say "fetching wasm-opt $binaryen_version"
  mkdir -p "$1"
  quietly binaryen.log npm install --prefix "$1" --no-save --no-audit --no-fund "binaryen@$binaryen_version" ||
    die "npm could not install binaryen@$binaryen_version. Is the network up? Or put a wasm-opt of version 116 or later on PATH."
}

need_leptos() {
  need_wasm
  need_cargo_leptos
  need_wasm_bindgen
  need_wasm_opt
}

need_sqlx() {
  need_rust
  case "$(cargo-sqlx --version 2>/dev/null)" in "sqlx-cli-sqlx $sqlx_version" | "sqlx-cli $sqlx_version") return ;; esac
  need_cargo_tool cargo-sqlx sqlx-cli "$sqlx_version" '1 minute' --no-default-features --features postgres,sqlx-toml
}

# The fuzzer's engine is C++, and its instrumentation is for nightly compilers.
need_fuzz() {
  need_rust
  if ! cargo +nightly --version >/dev/null 2>&1; then
    has rustup || die "fuzzing needs a nightly Rust: install Rust with rustup, then call this again."
    say "adding a nightly toolchain"
    quietly rustup-nightly.log rustup toolchain install nightly --profile minimal ||
      die "the toolchain could not be added. Is the network up? Try: rustup toolchain install nightly --profile minimal"
  fi
  [ "$(cargo-fuzz --version 2>/dev/null)" = "cargo-fuzz $cargo_fuzz_version" ] && return
  need_cargo_tool cargo-fuzz cargo-fuzz "$cargo_fuzz_version" '2 minutes' --locked
}

# --- Python and Node -----------------------------------------------------------------------------

checksum() { cat "$@" | sha256sum | cut -c 1-16; }

# need_python FOLDER…: the Python packages of these folders, each in a place of its own; python, taskiq, ruff, mypy and pytest of the last
# one come first on PATH.
need_python() {
  need_system python
  local folder dir
  for folder in "$@"; do
    dir=$(python_packages "$folder")
    [ -e "$dir/complete" ] || once install_python "$folder" "$dir"
    PATH=$dir/bin:$PATH
  done
}

# Where the packages of a folder are, for this Python.
python_packages() {
  echo "$tools/python-$( (python3 --version && cat "$1"/requirements*.txt "$1/constraints.txt") | checksum -)"
}

install_python() {
  local folder=$1 dir=$2
  [ ! -e "$dir/complete" ] || return 0
  say "fetching the Python packages of $folder"
  rm -rf "$dir"
  { quietly venv.log python3 -m venv "$dir" &&
    quietly pip.log "$dir/bin/pip" install --disable-pip-version-check --no-input \
      -r "$folder/requirements-dev.txt" -c "$folder/constraints.txt"; } ||
    die "pip could not install $folder/requirements-dev.txt. Is the network up?"
  touch "$dir/complete"
}

# The npm packages of end2end, without a browser: Debian's is used.
need_playwright() {
  need_system node chromium
  local stamp=end2end/node_modules/.taskscope sum
  sum=$(checksum end2end/package.json end2end/package-lock.json)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
    say "fetching the npm packages of end2end"
    (cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 quietly npm-ci.log npm ci --no-audit --no-fund) ||
      die "npm could not install end2end/package-lock.json. Is the network up?"
    echo "$sum" >"$stamp"
  fi
  CHROMIUM=$(chromium_path)
  export CHROMIUM
}

# What the server needs to start: its own Postgres, unless it is given one.
need_database() { [ -n "${DATABASE_URL:-}" ] || need_system postgres; }
