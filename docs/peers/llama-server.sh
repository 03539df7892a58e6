#!/bin/sh
# Compares causerie with llama-server (llama.cpp) on the same weights, over HTTP on both sides.
#
#     docs/peers/llama-server.sh MODEL_DIR LLAMA_CPP_DIR [int8|bf16|f32] [more flags of causerie bench]
#
# MODEL_DIR is a GPT-2 folder in Hugging Face's format, with its tokenizer; docs/peers/random_gpt2.py makes one of GPT-2 124M's
# shape. LLAMA_CPP_DIR is a checkout of llama.cpp, built for this machine:
#
#     cmake -B build -DGGML_NATIVE=ON -DCMAKE_BUILD_TYPE=Release
#     cmake --build build --target llama-server llama-bench llama-batched-bench
#
# The GGUF file is made beside MODEL_DIR when it is not there (Python with torch, transformers and the checkout's gguf-py).
# Set CAUSERIE to a built binary, PYTHON to an interpreter, PORT and THREADS as needed.
set -eu
model=${1%/} llama=$2 dtype=${3:-int8}
shift "$(($# < 3 ? $# : 3))"
port=${PORT:-8091} threads=${THREADS:-$(getconf _NPROCESSORS_ONLN)}
case $dtype in
int8) type=q8_0 ;; # as close as llama.cpp has it: groups of 32 weights share a scale
*) type=$dtype ;;
esac
gguf=$model-$type.gguf
if ! [ -f "$gguf" ]; then
	PYTHONPATH=$llama/gguf-py "${PYTHON:-python3}" "$llama/convert_hf_to_gguf.py" "$model" --outtype "$type" --outfile "$gguf"
fi

# Eight conversations of a full context each at the same time.
serve() {
	"$llama/build/bin/llama-server" -m "$gguf" --host 127.0.0.1 --port "$port" -t "$threads" -tb "$threads" \
		-c 8192 --parallel 8 "$@" >"$gguf.log" 2>&1 &
	pid=$!
	trap 'kill $pid' EXIT INT TERM
	until curl -fs "http://127.0.0.1:$port/health" >/dev/null; do
		kill -0 $pid || { tail "$gguf.log"; exit 1; }
		sleep 0.2
	done
}

bench() {
	${CAUSERIE:-go run .} bench --model "$model" --dtype "$dtype" --threads "$threads" \
		--against "http://127.0.0.1:$port" "$@"
}

serve
bench --against-pid $pid --only decode,prefill,first-token,conversation "$@"
kill $pid
wait $pid || true # it ends by the signal
serve --embeddings --pooling mean -b 1024 -ub 1024 # it either writes or embeds
bench --only embeddings "$@"
