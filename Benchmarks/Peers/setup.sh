#!/usr/bin/env bash
# Makes a Python environment with the peers that the benchmarks compare with, and fetches the assets.
#
#   Benchmarks/Peers/setup.sh DIR [ASSETS]
#
# DIR/venv gets the packages of requirements.txt (about 6 GB; llama.cpp is compiled for this machine, a few minutes
# with a C++ compiler). The assets go to ASSETS, by default where Scripts/fetch-assets puts them. What is there stays.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
directory=${1:?usage: setup.sh DIR [ASSETS]}
python=$directory/venv/bin/python

command -v python3 >/dev/null || {
  echo "setup.sh: python3 is missing (on Debian or Ubuntu: apt-get install python3-venv)" >&2
  exit 1
}
if [ $# -ge 2 ]; then
  "$here/../../Scripts/fetch-assets" --assets "$2"
else
  "$here/../../Scripts/fetch-assets"
fi
mkdir -p "$directory"
[ -x "$python" ] || python3 -m venv "$directory/venv"
install=("$python" -m pip install --quiet --disable-pip-version-check)
# Not from pip's cache, which knows a wheel by its version alone: what was built there for other instructions must not come back.
CMAKE_ARGS="${CMAKE_ARGS:--DGGML_NATIVE=ON}" "${install[@]}" --no-cache-dir "$(grep '^llama-cpp-python' "$here/requirements.txt")"
"${install[@]}" -r "$here/requirements.txt"
"$python" -c 'import accelerate, gguf, llama_cpp, peft, recbole, safetensors, tokenizers, torch, transformers'
echo "the peers are in $directory/venv"
