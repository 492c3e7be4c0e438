# Sourced: the programs that tests run beside the gateway, and their Debian packages.
# shellcheck shell=bash
declare -A package_of=(
  [curl]=curl [wrk]=wrk [h2load]=nghttp2-client [haproxy]=haproxy [nginx]=nginx-light [openssl]=openssl [ps]=procps
)

# Installs what is missing; says what to install by hand where it may not.
install_tools() {
  local tool missing=() packages=()
  for tool in "${!package_of[@]}"; do
    command -v "$tool" >/dev/null || { missing+=("$tool") && packages+=("${package_of[$tool]}"); }
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "missing: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    # Without a terminal to ask on, sudo has to do without a password.
    if ! command -v sudo >/dev/null || ! { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      root=(none)
    else
      root=(sudo)
    fi
  fi
  if [ "${root[*]}" = none ] || ! command -v apt-get >/dev/null; then
    echo "install these programs and run again; on Debian: apt-get install ${packages[*]}" >&2
    return 1
  fi
  "${root[@]}" bash -s -- "${packages[@]}" <<'AS_ROOT'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
# Debian starts haproxy, nginx and caddy when it installs them; tests and benches start their own on free ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null
for service in haproxy nginx caddy; do
  case " $* " in *" $service"*) command -v systemctl >/dev/null && systemctl disable --quiet "$service" 2>/dev/null || true ;; esac
done
AS_ROOT
  hash -r
  missing=()
  for tool in "${!package_of[@]}"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
  [ ${#missing[@]} -eq 0 ] || { echo "still missing after the installation: ${missing[*]}" >&2; return 1; }
}
