"""One side of one decoding case, in a process of its own: waits on a pipe, runs when asked.

    python decoding_sides.py SIDE CASE THREADS          SIDE: minillm or torch

Each line on standard input is a request, answered by one line of JSON:
    check                    -> tokens that must be equal on both sides, and the last logits' norm
    time POSITION COUNT      -> seconds a token, for COUNT tokens written from POSITION on
"""

import json
import sys
import time

import numpy as np
import shapes

CONTEXT = 1024
POSITIONS = (64, 960)  # where texts begin to be continued: COUNT tokens reach 1,000 and more
CHECKED = 12  # tokens

# The fields of the configs: GPT-2's names and Llama's.
CASES = {
    "gpt-256": dict(vocab_size=4096, n_embd=256, n_layer=4, n_head=8),
    "gpt-384": dict(vocab_size=8192, n_embd=384, n_layer=6, n_head=6),
    "llama-384": dict(
        vocab_size=8192,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
    ),
    "gpt2": dict(vocab_size=50257, n_embd=768, n_layer=12, n_head=12),
}


def prompt(case: str, length: int) -> np.ndarray:
    return shapes.random_ids("prompt", CASES[case]["vocab_size"], length)


class OurSide:
    """The loop of `minillm.generation.generate`, greedy, stopped and set back at will."""

    def __init__(self, case: str):
        from minillm.models import GPTConfig, GPTForCausalLM, LlamaConfig, LlamaForCausalLM

        if case.startswith("gpt"):
            self.model = GPTForCausalLM(GPTConfig(**CASES[case], n_positions=CONTEXT))
        else:
            config = LlamaConfig(**CASES[case], max_position_embeddings=CONTEXT)
            self.model = LlamaForCausalLM(config)
        sizes = {name: p.shape for name, p in self.model.state_dict().items()}
        self.model.load_state_dict(shapes.weights(sizes))
        self.model.eval()
        self.prompts = {p: prompt(case, p) for p in POSITIONS}
        self.started: dict = {}

    def _start(self, position: int):
        from minillm.generation.endings import Endings
        from minillm.generation.generate import write
        from minillm.generation.reading import Reader
        from minillm.generation.settings import Settings

        settings = Settings(max_new_tokens=10**6)
        reader = Reader(self.model, [self.prompts[position]], CONTEXT - position)
        steps = write(reader, settings, Endings((), (), None, 1))
        first = next(steps)  # reads the prompt
        return reader, steps, first

    def check(self) -> dict:
        _, steps, step = self._start(POSITIONS[0])
        tokens = []
        for _ in range(CHECKED):
            tokens.append(int(step.tokens[0]))
            step = next(steps)
        return {"tokens": tokens, "norm": float(np.linalg.norm(step.logits))}

    def time(self, position: int, count: int) -> float:
        if position not in self.started:
            self.started[position] = self._start(position)
        reader, steps, _ = self.started[position]
        reader.cache.crop(position)
        reader.end = position
        began = time.perf_counter()
        for _ in range(count):
            next(steps)
        return (time.perf_counter() - began) / count


class TorchSide:
    """The same loop in plain PyTorch: a cache made once, one position a step, no gradients."""

    def __init__(self, case: str):
        import decoding_with_torch
        import torch

        self.torch = torch
        self.model = decoding_with_torch.make(CASES[case], CONTEXT)
        sizes = {name: tuple(p.shape) for name, p in self.model.state_dict().items()}
        values = shapes.weights(sizes)
        self.model.load_state_dict({name: torch.tensor(a) for name, a in values.items()})
        self.model.eval()
        self.prompts = {p: torch.tensor(prompt(case, p))[None] for p in POSITIONS}
        self.started: dict = {}

    def _start(self, position: int):
        cache = self.model.new_cache()
        return cache, self.model(self.prompts[position], cache, 0).argmax(-1, keepdim=True)

    def check(self) -> dict:
        with self.torch.inference_mode():
            cache, token = self._start(POSITIONS[0])
            tokens = []
            for i in range(CHECKED):
                tokens.append(int(token))
                logits = self.model(token, cache, POSITIONS[0] + i)
                token = logits.argmax(-1, keepdim=True)
        return {"tokens": tokens, "norm": logits.norm().item()}

    def time(self, position: int, count: int) -> float:
        with self.torch.inference_mode():
            if position not in self.started:
                self.started[position] = self._start(position)
            cache, token = self.started[position]
            began = time.perf_counter()
            for i in range(count):
                token = self.model(token, cache, position + i).argmax(-1, keepdim=True)
                int(token)  # the loop looks at every token
            return (time.perf_counter() - began) / count


def main(side: str, case: str, threads: str) -> None:
    if side == "torch":
        import torch

        torch.set_num_threads(int(threads))
        library, made = f"PyTorch {torch.__version__}", TorchSide(case)
    else:
        from threadpoolctl import threadpool_info

        blas = next(pool for pool in threadpool_info() if pool["user_api"] == "blas")
        library = f"NumPy {np.__version__}, {blas['internal_api']} {blas['version']}"
        made = OurSide(case)
    print(json.dumps(library), flush=True)
    for request in sys.stdin:
        action, *numbers = request.split()
        answer = made.check() if action == "check" else made.time(*map(int, numbers))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
