# Sourced by the scripts beside it: the repository's root, its packages and its pinned Bun.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
# Debian keeps haproxy and nginx in sbin, which is not on every user's path.
export PATH="$root/node_modules/.bin:$PATH:/usr/sbin:/sbin"

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# npm ci where node_modules is missing or older than the lock file; then a Bun that runs.
install_packages() {
  command -v node >/dev/null && command -v npm >/dev/null ||
    fail "node and npm are needed (Node 20 or newer); Debian: apt-get install nodejs npm"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "Node 20 or newer is needed, found $(node -v)"
  if ! node scripts/lib/installed.js; then
    npm ci --no-fund --no-audit --loglevel=error || fail "npm ci failed"
  fi
  # The package `bun` puts its binary in place in a postinstall script, which npm may have been told not to run.
  if ! bun --version >/dev/null 2>&1; then
    node node_modules/bun/install.js || true
    bun --version >/dev/null || fail "node_modules/.bin/bun does not run on this machine ($(uname -sm))"
  fi
}

# What every binary is made with, in `flags`, and the commit it is made from, in `commit` and `commit_date`
# ("unknown" outside a git checkout). One commit gives one binary, wherever and whenever it is built.
compile_flags() {
  commit=unknown commit_date=unknown
  if [ -e .git ] && command -v git >/dev/null && commit_date=$(git show -s --format=%cI HEAD 2>/dev/null); then
    commit=$(git rev-parse --short=12 HEAD)
    [ -z "$(git status --porcelain --untracked-files=no)" ] || commit+=-dirty
  else
    commit_date=unknown
  fi
  flags=(
    # In pieces: what only plugins or the demo ask for is not read at the start.
    --compile --minify --sourcemap --bytecode --format=esm --splitting
    # Most of what runs at the start runs a few times, and machine code for it would cost more than it saves.
    --compile-jit-policy=8
    # A gateway's behaviour comes from its YAML, not from files that happen to lie where it is started.
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig
    --define "SLUICE_COMMIT=\"$commit\"" --define "SLUICE_COMMIT_DATE=\"$commit_date\""
  )
}

# compile ENTRY OUT ARGUMENT…: compiles a binary with `flags` and these arguments. It is made in a directory of its own
# and moved: a gateway that runs from the old file keeps it, nobody sees half a binary, and the maps of the pieces, which
# are inside of it as well, stay behind.
compile() {
  local entry=$1 out=$2 beside code=0
  shift 2
  mkdir -p "$(dirname "$out")"
  beside=$(mktemp -d "$(dirname "$out")/.build-XXXXXX")
  bun build "${flags[@]}" "$@" "$entry" --outfile "$beside/sluice" && mv -f "$beside/sluice" "$out" || code=$?
  rm -rf "$beside"
  return "$code"
}
