# %% [markdown]
# # Lesson 08: the model that writes
#
# BERT fills gaps: it sees what stands before a gap and behind it. A model that writes sees only
# what stands before, and answers one question: what comes next? Ask it, choose one of the answers,
# append it, ask again. Everything that a chatbot says comes about this way.
#
# **You will learn** how text of any kind becomes tokens (byte-level BPE); how a network is kept
# from looking ahead; what the choice of the next token looks like, and what temperature, top-k,
# top-p and min-p do to it; why the most probable text is not the best; why a cache makes the cost
# of a token constant; what the attention heads look at; and how to ask a model which of two texts
# it finds likelier.
#
# **Expectation card**
#
# | what | expected |
# |---|---|
# | any text, any bytes, encoded and decoded | the same again |
# | an answer, when a later token is changed | not changed at all: the difference is 0 |
# | loss at step 0 | near ln V: nothing known |
# | loss at the end (default run) | below 4.7 nats a token, far below the unigram level |
# | entropy at temperature towards 0, 1, infinity | 0, the model's own, log2 V bits |
# | greedy text | repeats itself; sampled text doesn't |
# | beam search against greedy | at least as probable for most prompts, and at least as dull |
# | with the cache, without it | the same tokens |
# | cost of token 1,000 against token 64 | about the same with the cache, 10 times or more without |
# | an ending after its own beginning, after a foreign one | likelier after its own |
# | broken: the training loss falls to 0.1 | the mask: the model sees what it is asked for |
# | broken: with the cache another text than without | new positions are counted from 0 again |
# | broken: rubbish, although the loss is low | tokenizer and model don't belong together |

# %%
import itertools
import json
import math
import sys
import time
from pathlib import Path

import numpy as np

import minillm
from minillm.data import (
    CausalBatches,
    Documents,
    TokenRow,
    embedded_reviews,
    encode_corpus,
    open_corpus,
    split_documents,
)
from minillm.evaluation.causal import evaluate_causal
from minillm.evaluation.pictures import plot_attention, pyplot
from minillm.generation import KeyValueCache, generate, sampling, score, stream
from minillm.lessons import arguments, pictures, say, table
from minillm.models import GPTConfig, GPTForCausalLM, LlamaForCausalLM
from minillm.text import BPETokenizer, clean_text, open_tokenizer
from minillm.training import Trainer, at_the_same_time

END_OF_TEXT = "<|endoftext|>"


def add_options(parser):
    parser.add_argument(
        "--model", type=Path, help="the folder of a GPT-2 or Llama, instead of the lesson's model"
    )
    parser.add_argument("--prompt", help="how the texts begin; '-' is --chat")
    parser.add_argument(
        "--chat", action="store_true", help="continue what you type, and leave out the lesson"
    )


options = arguments("08_generate", "Write text with a small language model.", add_options)
chatting = options.chat or options.prompt == "-"
results = {}  # the numbers of this run, written to results.json at the end

recipe = {"texts": 10_000, "vocab_size": 2048, "context": 128, "width": 128, "layers": 3}
recipe |= {"batch_size": 16, "steps": 2000, "learning_rate": 2e-3, "longest": 1024}
if options.quick:
    recipe |= {"texts": 800, "vocab_size": 600, "context": 64, "width": 64, "layers": 2}
    recipe |= {"batch_size": 8, "steps": 250, "learning_rate": 4e-3, "longest": 256}


def open_model(folder):
    """A causal model and its tokenizer, from a folder in the Hugging Face layout."""
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a model's folder: it has no config.json")
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is damaged: a JSON object was expected") from None
    classes = {"gpt2": GPTForCausalLM, "llama": LlamaForCausalLM}
    if kind not in classes:
        raise ValueError(
            f"{folder} holds a {kind!r} model; one that writes was expected: {', '.join(classes)}"
        )
    model, tokenizer = classes[kind].from_pretrained(folder), open_tokenizer(folder)
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.get_vocab_size()} tokens, the model only "
            f"{model.config.vocab_size}: they don't belong together"
        )
    return model.to(options.device), tokenizer


from_lesson_5 = Path("runs") / "05_pretrain_gpt" / "model"
folder = options.model
if folder is None and options.data is None and (from_lesson_5 / "model.safetensors").is_file():
    folder = from_lesson_5
model, tokenizer = open_model(folder) if folder else (None, None)  # a bad one is found at once

# %% [markdown]
# ## A conversation, of a kind
#
# With `--chat` (or `--prompt -`) this program continues whatever you type, and leaves out the
# lesson, but for the training if there is no model yet. It was never taught to answer. It goes on
# in your text, as the texts that it has read would.


# %%
def end_token(config):
    """The id that stands between documents, or None."""
    id = config.eos_token_id
    if isinstance(id, int) and 0 <= id < config.vocab_size:
        return id
    return tokenizer.token_to_id(END_OF_TEXT)


def as_prompt(text):
    """The ids of a text that begins a document: the token between documents stands before it."""
    return ([] if end is None else [end]) + tokenizer.encode_ids(text)


def checked(prompt):
    """A prompt that the reader typed, or a ValueError that says what is wrong with it."""
    if not prompt.strip():
        raise ValueError("the prompt is empty: give at least a word to continue")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise ValueError("the prompt isn't UTF-8 (is the terminal set to another encoding?)")
    if len(as_prompt(prompt)) > context:
        raise ValueError(
            f"the prompt has {len(as_prompt(prompt))} tokens, more than the model's context of "
            f"{context}: shorten it"
        )
    return prompt


def printable(text):
    """A model may write control characters, and terminals obey them: show them as U+FFFD."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def write_on(text, number=60, **settings):
    """Print a text and its continuation, token by token, as it is written."""
    print(f"    {text}", end="", flush=True)
    chosen = {"do_sample": True, "temperature": 0.8, "top_p": 0.9} | settings
    for piece in stream(model, tokenizer, as_prompt(text), max_new_tokens=number, **chosen):
        print(printable(piece).replace("\n", "\n    "), end="", flush=True)
    print()


def chat():
    """Continue what the reader types, until an empty line or the end of the input."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")  # bytes that aren't UTF-8 become U+FFFD
    say("Type the beginning of a text; an empty line ends.")
    for turn in itertools.count():
        try:
            typed = input("\n> ")
        except EOFError:
            return
        if not typed.strip():
            return
        try:
            write_on(checked(typed), seed=options.seed + turn)
        except ValueError as error:
            print(f"error: {error}")


if model is not None:
    context, end = model.config.max_positions, end_token(model.config)
    if chatting:
        chat()
        sys.exit()

# %% [markdown]
# ## 1. Bytes into tokens
#
# WordPiece (lesson 01) has a token for "I can't read this". A model that writes must be able to
# write everything: names, code, Chinese, emoji. *Byte-level BPE* begins with the 256 bytes, of
# which any file consists, and merges: find the pair of neighbours that occurs most often, make it a
# new token, find the next pair. It only ever merges within words, and a word takes the space before
# it along: `Ġ` stands for that space (a byte that can't be printed is shown as a letter).


# %%
def open_texts():
    """The user's texts, or the film reviews; without their package the texts of Python's help."""
    if options.data:
        return open_corpus(options.data, errors=options.errors)
    try:
        return embedded_reviews()
    except ModuleNotFoundError as error:
        from pydoc_data.topics import topics

        say(f"Note: {error}. This run reads the help pages of Python itself.")
        return Documents(topics.values(), "the help pages of Python")


corpus = open_texts()
texts = list(corpus.first(100_000))
texts = texts[:: -(-len(texts) // recipe["texts"])]  # spread over the whole corpus
training_texts, held_out_texts = split_documents(Documents(texts, corpus.name), held_out=0.1)
if not any(text.strip() for text in held_out_texts):
    raise ValueError(
        f"{corpus.name}: of {len(texts)} documents none is left to test on (one in ten is held "
        "out): give more documents; in a text file blank lines part them"
    )
say(f"{len(texts):,} texts of {corpus.name}; one in ten is held out.")

own = BPETokenizer.train(
    (clean_text(text) for text in training_texts), vocab_size=recipe["vocab_size"], processes=1
)
merges = own.model.merges
say(f"{len(merges):,} merges. The first were these, and the last:")
print("    " + "   ".join(f"{a}+{b}" for a, b in merges[:14]))
print("    " + "   ".join(f"{a}+{b}" for a, b in merges[-8:]))

# %% [markdown]
# First come pairs of letters, then syllables, then whole words, whose tokens are merged from
# merged ones. The order is the tokenizer: to encode a word, apply the merges in the order in which
# they were learned. So a shorter list of merges is a smaller vocabulary. What does a larger one
# buy?


# %%
def with_merges(n):
    """The same tokenizer, as it was after its first n merges."""
    vocab = dict(list(own.get_vocab().items())[:257])  # <|endoftext|> and the bytes
    for a, b in merges[:n]:
        vocab.setdefault(a + b, len(vocab))
    return BPETokenizer(vocab, merges[:n])


held_out_text = clean_text(next(text for text in held_out_texts if text.strip()))
sample = held_out_text[:60].rsplit(" ", 1)[0]
much = "\n".join(clean_text(text) for text in list(held_out_texts)[:30])
rows = []
for n in sorted({0, 10, 100, len(merges) // 2, len(merges)}):
    if n <= len(merges):
        small = with_merges(n)
        tokens = " ".join(small.encode(sample).tokens)
        length = len(much.encode()) / max(len(small.encode_ids(much)), 1)
        rows.append((f"{n:,}", f"{length:.2f}", tokens if len(tokens) < 72 else tokens[:70] + " …"))
table(rows, ("merges", "bytes a token", "the beginning of a text that it never saw"))

rows = []
for text in ("the film", "The Film", "naïve", "电影", "🙂", "for (i = 0; i < n; i++)"):
    ids = own.encode_ids(text)
    rows.append((text, len(text), len(text.encode()), len(ids), own.decode(ids) == text))
table(rows, ("text", "characters", "bytes", "tokens", "decoded the same"))
noise = np.random.default_rng(options.seed).bytes(1000)
results["bytes_round_trip"] = own.decode_bytes(own.encode_bytes(noise)) == noise
say(f"1,000 random bytes, encoded and decoded: the same is {results['bytes_round_trip']}.")

# %% [markdown]
# What the training texts hold often is short, everything else is spelled out, and nothing is lost.
# Note that a token need not be a whole character: the four bytes of an emoji are several tokens
# here.
#
# ## 2. A model that only looks back
#
# The network is BERT's relative: vectors for tokens and positions, then layers of attention and of
# thinking at each position. Two things differ. **The mask**: position t looks at the positions 1..t
# and never at those behind it. And **the question**: at every position, what comes next? So one
# text of 128 tokens asks 127 questions at once, and for each of them the answer is out of sight.

# %%
if model is None:
    tokenizer = own
    context, end = recipe["context"], tokenizer.token_to_id(END_OF_TEXT)
V = model.config.vocab_size if model else tokenizer.get_vocab_size()

if options.prompt is not None and not chatting:
    prompt = checked(options.prompt)  # before any work
elif options.data:
    prompt = " ".join(held_out_text.split()[:3])
    if prompt not in held_out_text or len(as_prompt(prompt)) > context // 2:
        prompt = held_out_text[:4]  # a script without spaces
else:
    prompt = "The movie was"

say("Position by position, what the model sees of the held-out text and what it is asked for:")
ids = as_prompt(held_out_text)[:6]
names = [f"[{tokenizer.decode([i], skip_special_tokens=False)}]" for i in ids]
table(
    [(t, "".join(names[: t + 1]), names[t + 1]) for t in range(len(ids) - 1)],
    ("position", "sees", "is asked for"),
)

# %% [markdown]
# The mask is one comparison: query i may look at key j where j <= i. With a cache (section 5) the
# queries are the *last* positions of the text, so that the comparison is j <= i + (keys - queries).
# Nearly all mistakes with masks are mistakes with this difference.


# %%
def causal_mask(queries, keys):
    """(queries, keys), True where query i may look at key j; the queries are the last positions."""
    i, j = np.arange(queries)[:, None], np.arange(keys)[None, :]
    return j <= i + (keys - queries)


for queries, keys in ((4, 4), (2, 4)):
    print(f"\n{queries} queries, {keys} keys")
    for row in causal_mask(queries, keys):
        print("    " + " ".join("x" if seen else "." for seen in row))

# %% [markdown]
# **Training** is lesson 05's: the same optimizer, the same loop. Only the batches differ, windows
# cut at random from one long row of all texts, with `<|endoftext|>` between them. (If lesson 05 has
# left a larger model, made by `python lessons/05_pretrain.py --model gpt`, this lesson takes that
# one, and `--model FOLDER` takes any GPT-2 or Llama.)


# %%
cache_folder = options.out / "cache"
held_out = TokenRow(
    encode_corpus(held_out_texts, tokenizer, cache_folder, whole_documents=True), end
)
C = min(context, 128)  # of a long context that much is enough to look at
if len(held_out) < 4 * C:
    raise ValueError(
        f"{corpus.name}: {len(held_out)} held-out tokens are too little text for this lesson, "
        f"which needs {4 * C}"
    )


def next_distribution(text):
    """ln p of what comes next (V,), float64."""
    ids = as_prompt(text) if isinstance(text, str) else list(text)
    with minillm.no_grad():
        output = model(minillm.tensor(np.array([ids]), device=options.device), last_only=True)
    return sampling.log_softmax(output.logits.numpy()[0, -1].astype(np.float64))


def write(text, number=30, **settings):
    """The continuation of a text."""
    ids = as_prompt(text)
    sequences = generate(model, [ids], max_new_tokens=number, eos_token_id=[], **settings).sequences
    return tokenizer.decode(sequences[0, len(ids) :])


def shown(text):
    """A text on one line; a line break becomes /."""
    return " ".join(printable(text).replace("\n", " / ").split())


if model is None:
    encoded = encode_corpus(training_texts, tokenizer, cache_folder, whole_documents=True)
    batches = CausalBatches(  # half a batch for each of two processes
        encoded, recipe["batch_size"] // 2, context, options.seed, end_of_text=end
    )
    minillm.manual_seed(options.seed)
    config = GPTConfig(
        vocab_size=V,
        n_positions=context,
        n_embd=recipe["width"],
        n_layer=recipe["layers"],
        n_head=4,
        initializer_range=0.05,  # GPT-2's 0.02 is for wider layers: here it costs half the time
        embd_pdrop=0.0,  # a few minutes are too short to overfit
        resid_pdrop=0.0,
        attn_pdrop=0.0,
        eos_token_id=end,
        bos_token_id=end,
    )
    model = GPTForCausalLM(config).to(options.device)
    say(
        f"A GPT of {config.n_layer} layers, {config.n_embd} wide, 4 heads, a context of {context} "
        f"tokens: {model.num_parameters():,} parameters. Before training it writes:"
    )
    print(f"    {prompt} ... {shown(write(prompt, 20, do_sample=True, seed=options.seed))}")

    share = np.bincount(encoded.tokens, minlength=V) / len(encoded.tokens)
    unigram = float(-(share[share > 0] * np.log(share[share > 0])).sum())
    few = held_out[: 30 * context]
    trainer = Trainer(
        model,
        lambda model, batch: (model(**batch).loss, {}),
        batches.batch,
        steps=recipe["steps"],
        learning_rate=recipe["learning_rate"],
        warmup_steps=recipe["steps"] // 20,
        schedule="cosine",
        weight_decay=0.1,
        betas=(0.9, 0.95),
        seed=options.seed,
        **at_the_same_time(2, options.device),  # two half batches, on two cores
        device=options.device,
        validate=lambda model: {"loss": evaluate_causal(model, few, stride=context - 1)["loss"]},
        validate_every=max(recipe["steps"] // 10, 1),
    )
    begun = time.perf_counter()
    metrics = trainer.run()
    minutes = (time.perf_counter() - begun) / 60
    model.save_pretrained(options.out / "model")
    tokenizer.save(options.out / "model" / "tokenizer.json")
    validated = [(m["step"], m["validation_loss"]) for m in metrics if "validation_loss" in m]
    results |= {"loss_1": metrics[0]["loss"], "ln_V": math.log(V), "unigram": unigram}
    results |= {"validation_loss": validated[-1][1], "minutes": minutes}
    tokens = recipe["steps"] * recipe["batch_size"] * context
    say(
        f"{tokens:,} tokens in {minutes:.1f} minutes. Loss {metrics[0]['loss']:.2f} at first (ln V "
        f"= {math.log(V):.2f}), {validated[-1][1]:.2f} nats on held-out texts at the end; knowing "
        f"only how frequent each token is: {unigram:.2f}."
    )

    plt = pyplot()
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    losses = np.array([m["loss"] for m in metrics])
    axis.plot(np.arange(1, len(losses) + 1), losses, color="0.8", linewidth=0.8, label="each step")
    axis.plot(*zip(*validated, strict=True), marker="o", color="tab:blue", label="held-out texts")
    for level, name in ((math.log(V), "ln V: nothing known"), (unigram, "frequencies only")):
        axis.axhline(level, linestyle="--", color="0.4", linewidth=1)
        axis.annotate(
            name, (0.99, level), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axis.set(xlabel="step", ylabel="loss (nats a token)", title="What comes next?")
    axis.legend(loc="upper right", bbox_to_anchor=(1, 0.9))
    figure.savefig(options.out / "training.png", dpi=110)
    plt.close(figure)
    pictures(options.out / "training.png")
else:
    kind = type(model).__name__.removesuffix("ForCausalLM")
    say(
        f"The model in {folder}: a {kind} of {model.config.num_layers} layers, "
        f"{model.num_parameters():,} parameters, a context of {context} tokens, {V:,} tokens."
    )
model.eval()
if chatting:
    chat()
    sys.exit()

# %% [markdown]
# **Does it really not look ahead?** Take a text, change its last token, and compare the answers at
# all positions before it. A mask that leaks by one place shows here at once, and nowhere else so
# clearly: the loss would only look wonderful.

# %%
ids = held_out[: min(32, context)][None]
changed = ids.copy()
changed[0, -1] = (changed[0, -1] + 1) % V
with minillm.no_grad():
    a, b = (
        model(minillm.tensor(x, device=options.device)).logits.numpy()[0] for x in (ids, changed)
    )
results["leak"] = float(np.abs(a[:-1] - b[:-1]).max())
last = float(np.abs(a[-1] - b[-1]).max())
say(
    f"The last of {ids.shape[1]} tokens changed: the answers before it differ by "
    f"{results['leak']:g}, the answer at it by {last:.2f}."
)


# %% [markdown]
# ## 3. The choice
#
# The network returns V numbers, the logits z. Their softmax is a probability for each token. That
# is the model's whole answer, and everything after it is our choice.

# %%
log_p = next_distribution(prompt)
best = np.argsort(-log_p, kind="stable")


def visible(id):
    """A token, with its spaces and line breaks visible."""
    text = printable(tokenizer.decode([int(id)], skip_special_tokens=False))
    return text.replace(" ", "␣").replace("\n", "\\n")


def label(id):
    """A token for the axis of a picture: by its number, if fonts may lack its letters."""
    text = "<end>" if id == end else visible(id)
    if any(character > "\u024f" and character != "␣" for character in text):
        return f"#{id}"
    return (text if len(text) <= 12 else text[:11] + "~").replace("$", r"\$")


say(f"'{prompt}' ... what comes next?")
sums = np.cumsum(np.exp(log_p[best]))
rows = [(visible(v), f"{np.exp(log_p[v]):.2%}", f"{sums[i]:.1%}") for i, v in enumerate(best[:8])]
table(rows, ("token", "probability", "sum so far"))

# %% [markdown]
# **Temperature.** Divide the logits by a number T before the softmax: p becomes proportional to
# p^(1/T). T < 1 makes the probable more probable, T > 1 gives the improbable a chance. How much
# freedom is left is measured by the entropy,
#
#     H = - sum_v p_v log2 p_v                in bits
#
# H bits are as much choice as 2^H equally probable tokens. It is 0 where everything is decided, and
# log2 V where nothing is known. Below, two places of held-out texts: one where the model is rather
# sure, one where it isn't.


# %%
def entropy(log_p):
    """In bits; 0 log 0 is 0."""
    p = np.exp(log_p)
    return float(-(p * np.where(p > 0, log_p, 0)).sum() / math.log(2))


window = held_out[: 4 * C].reshape(4, C)
with minillm.no_grad():
    logits = model(minillm.tensor(window, device=options.device)).logits.numpy()
every = sampling.log_softmax(logits.astype(np.float64))[:, C // 4 :]  # with some context
freedom = np.array([[entropy(row) for row in rows] for rows in every])
order = np.argsort(freedom, axis=None)
places = {}
for name, quantile in (("sure", 0.1), ("unsure", 0.9)):
    row, column = np.unravel_index(order[int(quantile * len(order))], freedom.shape)
    t = int(column) + C // 4
    places[name] = every[row, column]
    before = shown(tokenizer.decode(window[row, max(0, t - 15) : t + 1].tolist()))
    say(f"{name}, {freedom[row, column]:.1f} bits: ... {before} ____")

temperatures = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]
rows = []
for T in temperatures:
    at = {name: sampling.log_softmax(z / T) for name, z in places.items()}
    H = [entropy(at[name]) for name in places]
    top = [f"{math.exp(at[name].max()):.1%}" for name in places]
    rows.append((f"{T:g}", f"{H[0]:.2f}", f"{H[1]:.2f}", *top))
table(rows, ("T", *(f"bits, {n}" for n in places), *(f"best token, {n}" for n in places)))
results["entropy"] = {
    name: [entropy(sampling.log_softmax(z / T)) for T in temperatures] for name, z in places.items()
}

plt = pyplot()
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
T_axis = np.geomspace(0.05, 20, 60)
for (name, z), colour in zip(places.items(), ("tab:blue", "tab:orange"), strict=True):
    left.plot(T_axis, [entropy(sampling.log_softmax(z / T)) for T in T_axis], colour, label=name)
left.axhline(math.log2(V), linestyle="--", color="0.4", label="log2 V: every token alike")
left.axvline(1, linestyle=":", color="0.4")
left.set(xscale="log", xlabel="temperature", ylabel="entropy (bits)", title="How much choice?")
left.set_xticks([0.1, 0.5, 1, 2, 10], ["0.1", "0.5", "1", "2", "10"])
left.legend()
z = places["unsure"]
shown_tokens = np.argsort(-z, kind="stable")[:15]
for shift, T in zip((-0.27, 0, 0.27), (0.5, 1.0, 2.0), strict=True):
    p = np.exp(sampling.log_softmax(z / T))[shown_tokens]
    right.bar(np.arange(len(p)) + shift, p, 0.27, label=f"T = {T:g}")
right.set_xticks(range(len(shown_tokens)), map(label, shown_tokens), rotation=60, ha="right")
right.set(ylabel="probability", title="the unsure place, the 15 most probable tokens")
right.legend()
figure.savefig(options.out / "temperature.png", dpi=110)
plt.close(figure)

# %% [markdown]
# **Cutting the tail.** Thousands of improbable tokens have, together, a probability that isn't
# small. Sample freely, and every few words one of them comes up, and the text goes off the rails.
# So the tail is cut, and what stays is made to sum to 1 again. Three ways to say where:
#
# - *top-k*: keep the k most probable tokens (Fan et al. 2018);
# - *top-p*, the nucleus: keep the fewest tokens that have together probability p (Holtzman et al.
#   2020);
# - *min-p*: keep what is at least p times as probable as the best token (Nguyen et al. 2025).

# %%
FILTERS = {
    "top-k 10": lambda z: sampling.top_k(z, 10),
    "top-p 0.8": lambda z: sampling.top_p(z, 0.8),
    "min-p 0.1": lambda z: sampling.min_p(z, 0.1),
}
figure, axes = plt.subplots(2, 3, figsize=(13, 6.5), layout="constrained", sharey="row")
rows, results["kept"] = [], {}
for row, (place, z) in zip(axes, places.items(), strict=True):
    tokens = np.argsort(-z, kind="stable")[:24]
    for axis, (name, keep) in zip(row, FILTERS.items(), strict=True):
        kept = np.isfinite(keep(z))
        p = np.exp(z)
        colours = np.where(kept[tokens], "tab:blue", "0.8")
        axis.bar(range(len(tokens)), p[tokens], color=colours)
        axis.set_xticks(range(len(tokens)), map(label, tokens), rotation=90, fontsize=8)
        axis.set_title(f"{place}, {name}: {kept.sum()} kept, with {p[kept].sum():.0%}", fontsize=10)
        rows.append((place, name, f"{kept.sum():,}", f"{p[kept].sum():.1%}"))
        results["kept"][f"{place}, {name}"] = [int(kept.sum()), float(p[kept].sum())]
    row[0].set_ylabel("probability")
figure.savefig(options.out / "choice.png", dpi=110)
plt.close(figure)
table(rows, ("place", "filter", "tokens kept", "their probability"))
pictures(options.out / "temperature.png", options.out / "choice.png")

# %% [markdown]
# `choice.png`: blue is kept. Ten tokens are too many where the model is sure (nonsense gets a
# chance) and too few where it isn't (good words are forbidden). Top-p and min-p follow the
# distribution. `temperature.png`: between T = 0.5 and 2 nearly everything happens.
#
# ## 4. Writing
#
# The same beginning with each method. *Greedy* always takes the most probable token. *Beam search*
# keeps the five most probable unfinished texts and so finds a text that is more probable as a
# whole. The *repetition penalty* divides the positive logits (multiplies the negative ones) of all
# tokens that were written before. A line break is shown as /.

# %%
METHODS = {
    "greedy": {},
    "beam search, 5 beams": {"num_beams": 5},
    "greedy, repetition penalty 1.3": {"repetition_penalty": 1.3},
    "temperature 0.7": {"do_sample": True, "temperature": 0.7},
    "temperature 1": {"do_sample": True},
    "temperature 1.5": {"do_sample": True, "temperature": 1.5},
    "top-k 40": {"do_sample": True, "top_k": 40},
    "top-p 0.9": {"do_sample": True, "top_p": 0.9},
    "min-p 0.1": {"do_sample": True, "min_p": 0.1},
}
for name, settings in METHODS.items():
    say(f"{name}: {shown(prompt + write(prompt, 40, seed=options.seed, **settings))}")

# %% [markdown]
# One text is an anecdote, so measure: the beginnings of held-out texts, continued by each method.
# How probable is the text to the model itself (nats a token, lower is more probable)? And how often
# does it say the same again: which share of its triples of tokens has it written before?

# %%
length, number = min(16, context // 4), min(60, context // 2)
starts = np.linspace(0, len(held_out) - length - number, 6 if options.quick else 16).astype(int)
beginnings = np.stack([held_out[start : start + length] for start in starts])
originals = np.stack([held_out[start + length : start + length + number] for start in starts])


def repeated(ids):
    """The share of triples of tokens that stand in the text a second time or more."""
    triples = list(zip(ids, ids[1:], ids[2:], strict=False))
    return 1 - len(set(triples)) / len(triples)


def row_of(name, texts, nats):
    again = float(np.mean([repeated(text) for text in texts.tolist()]))
    results.setdefault("methods", {})[name] = {"nats": nats, "repeated": again}
    return name, f"{nats:.2f}", f"{again:.1%}"


rows = []
total = {}  # ln p of each whole text
for name, settings in METHODS.items():
    output = generate(
        model,
        beginnings,
        max_new_tokens=number,
        eos_token_id=[],
        seed=options.seed,
        return_log_probabilities=True,
        **settings,
    )
    total[name] = output.log_probabilities.sum(axis=1)
    nats = -float(output.log_probabilities.mean())
    rows.append(row_of(name, output.sequences[:, length:], nats))
of_people = score(model, beginnings.tolist(), originals.tolist())
rows.append(row_of("what people wrote", originals, -float(np.mean(of_people))))
table(rows, ("method", "nats a token", "repeated triples"))
better = float(np.mean(total["beam search, 5 beams"] >= total["greedy"] - 1e-6))
results["beam_not_worse"] = better
say(
    f"Beam search found a text as probable as the greedy one, or more, for {better:.0%} of "
    f"{len(starts)} beginnings."
)

# %% [markdown]
# The most probable text is *not* what people write. People are surprising: a sentence whose every
# word could be foreseen would not be worth saying. Greedy and beam search go for the foreseeable,
# and end in loops, since what was said once becomes more probable. Sampling at T = 1 has the right
# surprise on average, but a small model's tail holds too much nonsense. That is why one cuts the
# tail. For tasks with one right answer (translation, arithmetic) it is the other way round: there
# the most probable text is wanted.
#
# ## 5. The cache
#
# To write the next token, the last position looks at the keys and values of all positions before
# it. Those don't depend on what comes later: that is what the mask means. So keep them. Then each
# step computes one position instead of all, and only the attention itself still looks at all of
# them.
#
# First: is it the same text?

# %%
rows = []
for name in ("greedy", "beam search, 5 beams", "top-p 0.9", "greedy, repetition penalty 1.3"):
    with_cache, without = (
        generate(
            *(model, beginnings[:4]),
            max_new_tokens=min(24, number),
            eos_token_id=[],
            seed=options.seed,
            use_cache=use,
            **METHODS[name],
        ).sequences
        for use in (True, False)
    )
    rows.append((name, bool((with_cache == without).all())))
table(rows, ("method", "the same tokens"))
results["cache_equal"] = all(same for _, same in rows)

# %% [markdown]
# Second: what does a token cost? For a longer text than the lesson's model can hold we take an
# untrained one: multiplying takes the same time whatever the numbers mean.

# %%
longest = recipe["longest"]
untrained = GPTForCausalLM(
    GPTConfig(vocab_size=2048, n_positions=longest, n_embd=128, n_layer=4, n_head=4)
).to(options.device)
untrained.eval()
ids = np.random.default_rng(options.seed).integers(0, 2048, (1, longest))


def ask(ids, cache=None):
    """Milliseconds until the model has said what comes next."""
    begun = time.perf_counter()
    with minillm.no_grad():
        output = untrained(minillm.tensor(ids, device=options.device), cache=cache, last_only=True)
        output.logits.numpy()
    return 1000 * (time.perf_counter() - begun)


ask(ids[:, :8])  # the first call also loads what is needed
runs = []
for _ in range(3):  # the fastest of three: other programs disturb
    memory = KeyValueCache(max_length=longest)
    runs.append([ask(ids[:, t : t + 1], memory) for t in range(longest)])
cached = np.min(runs, axis=0)
lengths = [n for n in (16, 32, 64, 128, 256, 512, 768, 1000) if n <= longest]
uncached = [min(ask(ids[:, :n]) for _ in range(3)) for n in lengths]


def cached_near(n):
    """The median of the tokens around position n."""
    return float(np.median(cached[max(0, n - 16) : n + 16]))


rows = []
for n, without in zip(lengths, uncached, strict=True):
    near = cached_near(n)
    rows.append((f"{n:,}", f"{without:.1f}", f"{near:.1f}", f"{without / near:.0f}"))
table(rows, ("position", "ms without", "ms with the cache", "times"))
results["cached_growth"] = cached_near(lengths[-1]) / cached_near(64)
results["uncached_growth"] = uncached[-1] / uncached[lengths.index(64)]
say(
    f"From position 64 to {lengths[-1]:,} the cost of a token grows {results['cached_growth']:.1f} "
    f"times with the cache, {results['uncached_growth']:.1f} times without. The price is memory: "
    f"2 (keys, values) x 4 layers x {longest:,} positions x 128 numbers x 4 bytes = "
    f"{memory.nbytes / 2**20:.1f} MiB."
)

figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
axis.plot(np.arange(longest), cached, color="tab:blue", alpha=0.2, linewidth=0.6)
middle = range(16, longest - 16, 8)
axis.plot(middle, [cached_near(n) for n in middle], color="tab:blue", label="with the cache")
axis.plot(lengths, uncached, color="tab:red", marker="o", label="without")
axis.set(xlabel="position", ylabel="ms a token", yscale="log", title="What the next token costs")
axis.legend()
figure.savefig(options.out / "cache.png", dpi=110)
plt.close(figure)
pictures(options.out / "cache.png")

# %% [markdown]
# Without a cache a text of n tokens costs 1 + 2 + ... + n = n (n + 1) / 2 positions, with it n.
# That is the difference between a service and a demonstration. It is not free: many long texts at
# once need more memory for their caches than for the weights, which is why the larger Llamas let
# several query heads share one key/value head.
#
# ## 6. What the heads look at
#
# Attention can be looked at. Rows are the positions that ask, columns those that are looked at; the
# upper right is empty, by the mask. Beside the picture, measured on held-out texts: how much of its
# attention does each head give to the token itself, the one before it, the first of all, and to the
# place behind an earlier occurrence of the same token? The last is an *induction head* (Olsson et
# al. 2022): "A B ... A" makes it look at B, which is often what comes next.

# %%
if options.data or options.prompt:
    ids = np.array(as_prompt(prompt + " " + held_out_text)[: min(20, context)])
else:
    ids = np.array(as_prompt("I liked the actors, but the story was long. I liked the")[:context])
with minillm.no_grad():
    output = model(minillm.tensor(ids[None], device=options.device), output_attentions=True)
maps = [layer.numpy()[0] for layer in output.attentions]
plot_attention(
    [layer[:6] for layer in maps[:4]], [label(i) for i in ids], options.out / "heads.png"
)
pictures(options.out / "heads.png")

with minillm.no_grad():
    output = model(minillm.tensor(window, device=options.device), output_attentions=True)
same = window[:, :, None] == window[:, None, :]  # (4, C, C): the same token ...
behind = np.zeros(same.shape)
behind[:, :, 1:] = same[:, :, :-1] & np.tri(C, C, -1, dtype=bool)[:, :-1]  # ... stood one earlier
has = behind.any(axis=2)
rows = []
for layer, weights in enumerate(output.attentions):
    weights = weights.numpy()  # (4, heads, C, C)
    for head in range(weights.shape[1]):
        w = weights[:, head]
        itself = np.diagonal(w, axis1=1, axis2=2)[:, 1:].mean()
        previous = np.diagonal(w, -1, axis1=1, axis2=2).mean()
        first = w[:, 2:, 0].mean()
        induction = (w * behind).sum(axis=2)[has].mean() if has.any() else 0.0
        values = [float(x) for x in (itself, previous, first, induction)]
        rows.append((f"layer {layer + 1}, head {head + 1}", *(f"{x:.0%}" for x in values)))
        results.setdefault("heads", []).append(values)
table(rows[:24], ("head", "itself", "the one before", "the first", "behind the same token"))

# %% [markdown]
# Look for heads that look one place back, or at the token itself. A head whose attention is spread
# over everything gathers a mean: what is the text about? Much attention to the first tokens is
# often a way of looking at nothing. Real induction heads need more than one layer and more training
# than a lesson's minutes; a larger model (`--model`) has them.
#
# ## 7. Which of two?
#
# A language model is a probability of texts. So it can judge without writing: which ending does it
# find likelier?
#
#     ln p(ending | beginning) = sum_t ln p(token t | the beginning and the tokens before t)

# %%
PAIRS = [
    ("This is one of the best movies I have ever", " seen", " said"),
    ("I would not recommend this film to", " anyone", " think"),
    ("The actors", " were", " was"),
    ("She", " was", " were"),
    ("The acting was terrible and the story was even", " worse", " better"),
    ("I laughed a lot. This movie is", " great", " terrible"),
    ("It was so boring that I", " fell asleep", " loved it"),
]
if not options.data:
    rows = []
    for beginning, likely, unlikely in PAIRS:
        ids = as_prompt(beginning)
        a, b = (score(model, ids, tokenizer.encode_ids(e)).sum() for e in (likely, unlikely))
        better = likely if a > b else unlikely
        rows.append((beginning, likely, f"{a:.1f}", unlikely, f"{b:.1f}", better))
    table(rows, ("beginning", "ending", "ln p", "or", "ln p", "likelier"))

size = min(8, context // 4)
effort = min(1, 2e6 / model.num_parameters())  # a large model is asked less often
count = 100 if options.quick else max(20, int(300 * effort))
starts = np.linspace(0, len(held_out) - length - size, count).astype(int)
begin = [held_out[start : start + length] for start in starts]
true = [held_out[start + length : start + length + size] for start in starts]
foreign = true[count // 2 :] + true[: count // 2]  # what followed elsewhere


def totals(beginnings, endings):
    return np.array([score(model, *pair).sum() for pair in zip(beginnings, endings, strict=True)])


own_place = totals(begin, true)
results["true_ending"] = float(np.mean(own_place > totals(begin, foreign)))
elsewhere = totals(begin[count // 2 :] + begin[: count // 2], true)
results["true_beginning"] = float(np.mean(own_place > elsewhere))
say(
    f"{count} places in held-out texts. The {size} tokens that follow against {size} tokens from "
    f"elsewhere: the true ones are likelier in {results['true_ending']:.0%}. And the other way "
    f"round, the same {size} tokens after their own beginning and after a foreign one: likelier "
    f"after their own in {results['true_beginning']:.0%}."
)

# %% [markdown]
# The second comparison is the fairer one: some endings are rare words, improbable after anything.
# Nor are endings of different lengths compared fairly: each further token can only lower ln p. (For
# beam search that is what `length_penalty` is for.) And what is likelier is not what is truer: the
# model knows what people write.
#
# The same sum over all held-out texts is the measure of the model as a whole. *Perplexity* is
# e^(nats a token): as hard as choosing among so many equally probable tokens. It depends on the
# tokenizer, since fewer, longer tokens are harder to guess. *Bits per byte* doesn't: every model
# has to account for the same bytes. A file compressor is measured in the same unit.

# %%
ids = held_out[: 4000 if options.quick else max(4 * C, int(40_000 * effort))]
together = max(1, 2**22 // (context * V))  # windows at a time: their logits fill the memory
size = len(tokenizer.decode(ids[1:].tolist()).encode())
rows = []
for name, stride in (("each token after half a context or more", context // 2), ("pieces", None)):
    measured = evaluate_causal(model, ids, None, stride or context - 1, together, size)
    results[f"bits_per_byte, {name}"] = measured["bits_per_byte"]
    rows.append((name, f"{measured['perplexity']:.1f}", f"{measured['bits_per_byte']:.3f}"))
table(rows, ("windows", "perplexity", "bits per byte"))

# %% [markdown]
# The second row cuts the text into pieces that know nothing of each other: at the beginning of each
# the model is without context. The better a model uses a long context, the more that costs; after a
# lesson's minutes of training the two rows hardly differ.
#
# ## 8. As it streams
#
# A reader needn't wait for the last token. But a token may end within a character, so a stream
# gives a piece when its bytes are whole. Each `|` is the end of a piece:

# %%
word = "naïve 电影 🙂"
ids = tokenizer.encode_ids(word)
print(f"\n    {word}: {len(ids)} tokens")
print("    " + " ".join(ascii(tokenizer.decode([i]))[1:-1] for i in ids))
begun = time.perf_counter()
pieces = list(stream(model, tokenizer, as_prompt(prompt), max_new_tokens=40, seed=options.seed))
seconds = time.perf_counter() - begun
print("    " + prompt + "|" + "|".join(shown(p) if p.isspace() else printable(p) for p in pieces))
results["tokens_per_second"] = 40 / seconds

say(f"The prompt, as it streams (top-p 0.9, temperature 0.8), {40 / seconds:,.0f} tokens a second:")
for turn in range(3):
    write_on(prompt, seed=options.seed + turn)
(options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
where = folder or options.out / "model"
say(f"In {options.out}: pictures, results.json. Go on by yourself:")
print(f"    python lessons/08_generate.py --model {where} --chat")

# %% [markdown]
# ## Questions
#
# 1. Why can byte-level BPE never meet an unknown word, and what does a vocabulary that was trained
#    on English cost a Chinese reader?
# 2. The tokens "film", " film" and "Film" have nothing in common for the model before training.
#    What follows for a prompt that ends with a space? Try it: `--prompt "The movie was "`.
# 3. What is the entropy at T = 1 where the model puts 1/2 on one token and shares the rest equally
#    among 64 others? And how many tokens does top-p 0.9 keep there, min-p 0.1?
# 4. Greedy text loops. Is the model wrong when it finds a repetition probable? Think of what it has
#    read.
# 5. With a cache, which part of a step still grows with the length? At which length would it be
#    half of the cost, for a width of 128?
# 6. A prompt of 500 tokens is read in one pass, and then token by token. Why is the first so much
#    faster for each token?
# 7. Two models have perplexities 20 and 30. What else must you know to say which is better?
# 8. Why does `length_penalty` exist, and what does beam search prefer at 0?
#
# ## Exercise
#
# `lessons/exercises/ex08_generate.py`: a step of BPE and its use, the causal mask, temperature and
# entropy, top-p, the repetition penalty, a step of beam search, attention with a cache, perplexity
# and bits per byte. Grade yourself with
#
#     python -m pytest tests/exercises -k ex08
#
# An experiment besides: train on texts of your own (`--data FOLDER`), and compare what the model
# writes at 1/10 of the steps and at the end.
