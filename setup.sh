#!/bin/sh
# Sets up what is missing: Debian packages, .venv, fonts. `setup.sh run` for demo and run, `setup.sh test` for
# the tests and checks as well. As root it installs the packages; otherwise it names the one line and stops.
set -eu
cd "$(dirname "$0")"
level=${1:-run}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }
has_library() { "$python" -c "import ctypes; ctypes.CDLL('$1')" 2>/dev/null; }
has_font() { fc-list ":family=$1" 2>/dev/null | grep -q .; }

command -v "$python" >/dev/null || { say "No $python here. Install Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed; PYTHON=/path/to/python3.11 chooses another."; exit 1; }

missing=
need() { missing="$missing $*"; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
has_library libpango-1.0.so.0 || need libpango-1.0-0
has_library libpangoft2-1.0.so.0 || need libpangoft2-1.0-0
has_library libharfbuzz-subset.so.0 || need libharfbuzz-subset0
command -v fc-list >/dev/null || need fontconfig
has_font "Noto Sans" || need fonts-noto-core
has_font "Noto Sans CJK JP" || need fonts-noto-cjk
if [ "$level" = test ]; then
    command -v chromium >/dev/null || need chromium
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need postgresql
    command -v redis-server >/dev/null || need redis-server
    command -v qpdf >/dev/null || need qpdf
    command -v pdffonts >/dev/null || need poppler-utils
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing:$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        say "Some Debian packages are missing. Nothing was set up. Run this, then try again:"
        say ""
        say "    sudo apt-get install -y --no-install-recommends$missing"
        say ""
        exit 1
    fi
fi

lock=requirements.txt
[ "$level" = run ] || lock=requirements-dev.txt
if ! .venv/bin/python -c '' 2>/dev/null; then
    "$python" -m venv --clear .venv
fi
if [ "$(cat ".venv/installed-$level" 2>/dev/null)" != "$(cksum < "$lock")" ]; then
    say "Installing the Python packages of $lock into .venv (once)"
    # The lock is whole: nothing is resolved anew. (Debian's pip would take `name[extra]` for the newest `name`, unpinned.)
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location --no-deps --require-hashes -r "$lock" >&2
    .venv/bin/python -m pip check >&2
    cksum < requirements.txt > .venv/installed-run  # the tests' lock holds these as well
    [ "$level" = run ] || cksum < "$lock" > ".venv/installed-$level"
fi
.venv/bin/python manage.py build_assets >&2
