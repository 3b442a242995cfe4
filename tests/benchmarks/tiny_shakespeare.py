"""The small recipe for Tiny Shakespeare that fits a CPU: a GPT of characters, beside PyTorch.

    python tests/benchmarks/tiny_shakespeare.py tinyshakespeare.txt

Characters; 4 layers, 4 heads, width 128, context 64; 2,000 steps of 12 windows, without dropout;
AdamW (betas 0.9 and 0.99, weight decay 0.1 of matrices), gradients clipped to norm 1, the rate
rising to 1e-3 in 100 steps, then along a cosine to 1e-4.  The last tenth of the text is held out,
and all of it is evaluated.

Both sides start from the same weights and see the same batches.  Each is a process of its own with
two threads; they take turns, one waiting while the other works, so that a slow minute of the
machine meets both.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

THREADS = 2
LAYERS, HEADS, WIDTH, CONTEXT = 4, 4, 128, 64
BATCH, STEPS, WARMUP = 12, 2000, 100
HIGHEST_RATE, LAST_RATE = 1e-3, 1e-4
BETAS, WEIGHT_DECAY, CLIP = (0.9, 0.99), 0.1, 1.0
HERE = Path(__file__).resolve().parent


# ------------------------------------------------------------------- the data, alike on both sides


def read(path: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Training ids, held-out ids, and the size of the vocabulary: the characters of the text."""
    text = Path(path).read_text(encoding="utf-8")
    characters = sorted(set(text))
    number = {character: i for i, character in enumerate(characters)}
    ids = np.array([number[character] for character in text], np.int64)
    cut = len(ids) * 9 // 10
    return ids[:cut], ids[cut:], len(characters)


def batch(ids: np.ndarray, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, (BATCH, CONTEXT) both: random windows, and the same one later."""
    starts = np.random.default_rng([seed, step]).integers(0, len(ids) - CONTEXT, BATCH)
    places = starts[:, None] + np.arange(CONTEXT)
    return ids[places], ids[places + 1]


def held_out_batches(ids: np.ndarray, stride: int):
    """Inputs, targets, and how many of these count: each character after the first exactly once.

    stride = CONTEXT: the windows follow each other.  Less: they overlap, and each character sees at
    least the CONTEXT + 1 - stride before it.
    """
    from minillm.data import IGNORED, scoring_windows  # NumPy only

    for windows in scoring_windows(ids, CONTEXT + 1, stride, batch_size=64):
        inputs, targets = windows["input_ids"][:, :-1], windows["labels"][:, 1:]
        yield inputs, targets, int((targets != IGNORED).sum())


def rate_at(step: int) -> float:
    """Up in a line, down along half a cosine."""
    if step < WARMUP:
        return HIGHEST_RATE * (step + 1) / (WARMUP + 1)
    done = (step - WARMUP) / (STEPS - WARMUP)
    return LAST_RATE + (HIGHEST_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


# ------------------------------------------- one side each: step(inputs, targets, rate) and loss


class Ours:
    """minillm: two processes, half of a batch each."""

    def __init__(self, vocab_size: int, weights: str, seed: int):
        import minillm
        from minillm import functional as F
        from minillm import optim
        from minillm.models import GPTConfig, GPTForCausalLM
        from minillm.training.parameter_groups import parameter_groups
        from minillm.training.processes import MicroBatchProcesses

        self.minillm, self.optim, self.cross_entropy = minillm, optim, F.cross_entropy
        minillm.manual_seed(seed)
        self.model = GPTForCausalLM(
            GPTConfig(
                vocab_size=vocab_size,
                n_positions=CONTEXT,
                n_embd=WIDTH,
                n_layer=LAYERS,
                n_head=HEADS,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
            )
        )
        np.savez(weights, **self.model.state_dict())  # where the other side starts, too
        groups = parameter_groups(self.model, WEIGHT_DECAY)
        self.optimizer = optim.AdamW(groups, lr=HIGHEST_RATE, betas=BETAS)
        self.micro_batches = MicroBatchProcesses(self.model, self.compute, THREADS)

    def loss_of(self, model, inputs, targets):
        logits = model(inputs).logits  # (B, L, V)
        targets = self.minillm.tensor(targets.reshape(-1))
        return self.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)

    def compute(self, model, inputs, targets) -> float:
        loss = self.loss_of(model, inputs, targets) / THREADS
        loss.backward()
        return loss.item()

    def step(self, inputs, targets, rate: float) -> float:
        parts = np.array_split(inputs, THREADS), np.array_split(targets, THREADS)
        losses = self.micro_batches.run(list(zip(*parts, strict=True)))
        self.optim.clip_grad_norm_(self.model.parameters(), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return sum(losses)

    def loss(self, inputs, targets) -> float:
        with self.minillm.no_grad():
            return self.loss_of(self.model, inputs, targets).item()


class Torch:
    """PyTorch in eager mode, its operations spread over two threads."""

    def __init__(self, vocab_size: int, weights: str, seed: int):
        import torch
        from torch import nn
        from torch.nn import functional as F

        torch.set_num_threads(THREADS)
        self.torch, self.cross_entropy = torch, F.cross_entropy
        self.clip = nn.utils.clip_grad_norm_

        class Attention(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
                self.output = nn.Linear(WIDTH, WIDTH)

            def forward(self, x):
                B, L, E = x.shape
                q, k, v = self.qkv(x).view(B, L, 3, HEADS, E // HEADS).permute(2, 0, 3, 1, 4)
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                return self.output(y.transpose(1, 2).reshape(B, L, E))

        class MLP(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(WIDTH, 4 * WIDTH)
                self.output = nn.Linear(4 * WIDTH, WIDTH)

            def forward(self, x):
                return self.output(F.gelu(self.inner(x), approximate="tanh"))

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention_norm, self.attention = nn.LayerNorm(WIDTH), Attention()
                self.mlp_norm, self.mlp = nn.LayerNorm(WIDTH), MLP()

            def forward(self, x):
                x = x + self.attention(self.attention_norm(x))
                return x + self.mlp(self.mlp_norm(x))

        class Decoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.token = nn.Embedding(vocab_size, WIDTH)
                self.position = nn.Embedding(CONTEXT, WIDTH)
                self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
                self.norm = nn.LayerNorm(WIDTH)

            def forward(self, ids):
                x = self.token(ids) + self.position.weight[: ids.shape[1]]
                for layer in self.layers:
                    x = layer(x)
                return F.linear(self.norm(x), self.token.weight)  # (B, L, V)

        self.model = Decoder()
        with np.load(weights) as arrays:
            self.model.load_state_dict(
                {n.removeprefix("transformer."): torch.tensor(arrays[n]) for n in arrays.files}
            )
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=HIGHEST_RATE, betas=BETAS)

    def loss_of(self, inputs, targets):
        logits = self.model(self.torch.from_numpy(inputs))
        targets = self.torch.from_numpy(targets).reshape(-1)
        return self.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)

    def step(self, inputs, targets, rate: float) -> float:
        loss = self.loss_of(inputs, targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.clip(self.model.parameters(), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return loss.item()

    def loss(self, inputs, targets) -> float:
        with self.torch.no_grad():
            return self.loss_of(np.ascontiguousarray(inputs), np.ascontiguousarray(targets)).item()


SIDES = {"minillm": Ours, "PyTorch": Torch}


def run_side(name: str, text: str, weights: str, seed: int) -> None:
    """Answer requests on standard input, a line of JSON each: "train A B", "validate STRIDE"."""
    training, held_out, vocab_size = read(text)
    side = SIDES[name](vocab_size, weights, seed)
    print(json.dumps({"parameters": sum(p.size for p in _arrays(side.model))}), flush=True)
    for request in sys.stdin:
        action, *numbers = request.split()
        began = time.perf_counter()
        if action == "train":
            losses = [
                side.step(*batch(training, seed, step), rate_at(step))
                for step in range(*map(int, numbers))
            ]
            answer = {"losses": losses}
        else:
            parts = held_out_batches(held_out, *map(int, numbers))
            total = sum(side.loss(inputs, targets) * n for inputs, targets, n in parts)
            answer = {"loss": total / (len(held_out) - 1)}
        print(json.dumps(answer | {"seconds": time.perf_counter() - began}), flush=True)


def _arrays(model) -> list[np.ndarray]:
    return [np.asarray(p.detach().numpy()) for p in model.parameters()]


# ------------------------------------------------------------------------------------ taking turns


class Worker:
    """One side in a process of its own."""

    def __init__(self, name: str, text: str, weights: str, seed: int):
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(THREADS)
        environment["PYTHONPATH"] = os.pathsep.join(  # measure this checkout
            [str(HERE.parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
        )
        self.name = name
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).resolve()),
                "--run",
                name,
                text,
                weights,
                str(seed),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.parameters = self._answer()["parameters"]
        self.seconds, self.losses = 0.0, []

    def ask(self, request: str) -> dict:
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="the text file, such as tinyshakespeare.txt")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"stop earlier than at {STEPS}")
    parser.add_argument("--turn", type=int, default=100, help="steps until the other side's turn")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), metavar="SIDE")
    options = parser.parse_args()
    training, held_out, vocab_size = read(options.text)
    print(
        f"{vocab_size} characters; {len(training):,} to learn from, {len(held_out):,} held out; "
        f"{options.steps:,} of {STEPS:,} steps, {THREADS} threads, NumPy {np.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder, "weights.npz"))
        if "minillm" not in options.sides:  # it is minillm that draws the weights
            Ours(vocab_size, weights, options.seed)
        names = [name for name in SIDES if name in options.sides]
        workers = [Worker(name, options.text, weights, options.seed) for name in names]
    print(f"parameters: {', '.join(f'{w.name} {w.parameters:,}' for w in workers)}")
    for start in range(0, options.steps, options.turn):
        stop = min(start + options.turn, options.steps)
        for worker in workers:
            answer = worker.ask(f"train {start} {stop}")
            worker.losses += answer["losses"]
            worker.seconds += answer["seconds"]
        told = ", ".join(
            f"{w.name} {np.mean(w.losses[start:stop]):.3f} ({w.seconds:.1f} s)" for w in workers
        )
        print(f"steps {start + 1} to {stop}: training loss {told}", flush=True)
    first = [worker.losses[0] for worker in workers]
    if max(first) - min(first) > 1e-4 * first[0]:
        sys.exit(f"the losses before the first update differ: {first}")
    print(f"\n{'':10}{'held-out loss':>15}{'windows overlap':>17}{'training, s':>13}")
    for worker in workers:
        losses = [worker.ask(f"validate {stride}")["loss"] for stride in (CONTEXT, CONTEXT // 2)]
        print(f"{worker.name:10}{losses[0]:>15.4f}{losses[1]:>17.4f}{worker.seconds:>13.1f}")
        worker.close()
    if len(workers) == 2:
        print(
            f"minillm's training time is {workers[0].seconds / workers[1].seconds:.2f} of its peer"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        name, text, weights, seed = sys.argv[2:]
        run_side(name, text, weights, int(seed))
    else:
        main()
