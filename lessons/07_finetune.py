# %% [markdown]
# # Lesson 07: fine-tuning, or why pretraining is worth it
#
# In lesson 06 every network began with random numbers and had to find out from labelled reviews
# what a word is. Labels cost money; text is free. Here we take networks that have read a lot before
# (lesson 05's, and a real one) and show them labelled reviews: few, more, all.
#
# **You will learn** how a pretrained network gets a new head; why the learning rate is small, and
# smaller still in the lower layers; what to do with texts that are longer than the network reads;
# and how many labelled examples pretraining is worth.
#
# On two cores the default run takes half an hour to an hour, nearly all of it for the real network;
# `--examples 100` gives the left end of the picture in minutes, and a run that is stopped goes on
# with `--resume`.
#
# **Expectation card** (the default run; `--quick` is too short for any of it)
#
# | what | expected |
# |---|---|
# | loss at step 0 | near ln 2 = 0.69: the new head knows nothing |
# | real pretrained network, 100 examples | about 80 %; "from scratch" is little above 50 % |
# | lesson 05's network | no better than "from scratch" with few examples, a little with all |
# | all examples | the curves come closer: labels make up for pretraining, if there are enough |
# | broken: the accuracy stays at 50 % | the learning rate is so high that pretraining is undone |
# | broken: "pretrained" is no better than "from scratch" | the weights weren't loaded |

# %%
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minillm
from minillm.data import LabelledBatches, stratified_sample
from minillm.evaluation import accuracy_over_draws, classification_report
from minillm.evaluation.classification_pictures import plot_learning_curves
from minillm.files import atomic_write
from minillm.lessons import (
    arguments,
    labelled_data,
    labelled_options,
    number_or_all,
    pictures,
    positive,
    say,
    table,
)
from minillm.models import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    NetworkClassifier,
    TextClassifier,
)
from minillm.models.packaged import packaged_minilm
from minillm.text import WordPieceTokenizer, clean_text
from minillm.training import (
    Trainer,
    at_the_same_time,
    classification_objective,
    layerwise_groups,
)

STARTS = ("scratch", "lesson05", "pretrained")


def add_options(parser):
    labelled_options(parser)
    parser.add_argument("--start", nargs="+", choices=STARTS, default=STARTS, help="which networks")
    parser.add_argument("--model", help="a folder with a pretrained BERT, for --start pretrained")
    parser.add_argument("--lesson05", default="runs/05_pretrain/model", help="lesson 05's model")
    parser.add_argument(
        "--examples", nargs="+", type=number_or_all, help="how many labelled examples, or 'all'"
    )
    parser.add_argument("--draws", type=positive, help="draws of the examples (of all: one)")
    parser.add_argument("--max-length", type=positive, help="tokens that --start pretrained reads")
    parser.add_argument("--epochs", type=float, help="times that all examples are seen")
    parser.add_argument("--learning-rate", type=float, help="the highest, of the head")
    parser.add_argument("--layer-decay", type=float, help="rate of a layer / rate of the one above")
    parser.add_argument(
        "--freeze", type=positive, help="embeddings and so many encoder layers stay as they are"
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")


options = arguments("07_finetune", "Fine-tune pretrained networks on few labels.", add_options)

# %% [markdown]
# ## The recipe
#
# `examples` and for each how many epochs: few examples are looked at more often. 100 examples can
# be a lucky draw or an unlucky one, so a few draws are made and averaged; every draw has as many
# examples of each class as the others. The small networks (lesson 05's size) and the real one
# differ in size and so in their rates.

# %%
recipe = {
    "texts": None,  # all
    "examples": options.examples or [100, 1000, None],  # None: all
    "draws": {100: 3, 1000: 2},
    "test_texts_of_draws": 1000,  # what is trained on a part is judged on so many; else on all
    "batch_size": 32,
}
if options.quick:
    recipe |= {"texts": 400, "examples": options.examples or [40, None], "draws": {}}
    recipe |= {"test_texts_of_draws": 40, "batch_size": 8}


class Settings(NamedTuple):
    """How a network is fine-tuned."""

    max_length: int  # tokens that it reads
    truncation: str  # what is read of a longer text
    epochs: dict  # by number of examples (None: all)
    learning_rate: float
    layer_decay: float  # of the learning rate, from each layer to the one below


settings = {
    "small": Settings(64, "head_tail", {100: 20, 1000: 10, None: 4}, 5e-4, 1.0),
    "real": Settings(256, "head_tail", {100: 15, 1000: 3, None: 1}, 1e-4, 0.9),
}
if options.quick:
    settings["small"] = settings["small"]._replace(epochs={None: 2})
    settings["real"] = settings["real"]._replace(max_length=32, epochs={None: 1})
for kind, of_kind in settings.items():
    given = {
        "learning_rate": options.learning_rate,
        "layer_decay": options.layer_decay,
        "epochs": options.epochs and {None: options.epochs},
        "max_length": options.max_length if kind == "real" else None,
    }
    settings[kind] = of_kind._replace(**{name: value for name, value in given.items() if value})


# %% [markdown]
# ## 1. The examples
#
# A fifth of the labelled texts is set aside for judging, the same for all networks, and equal texts
# stand on one side. Mind two things. Reviews of one film can stand on both sides: the data don't
# say which film a review is about. And lesson 05 has read these reviews, those for judging as well;
# not their labels, though. A real pretrained network hasn't, as far as its authors say.

# %%
training, test, how = labelled_data(options, recipe["texts"])
few_test = test
if len(test) > recipe["test_texts_of_draws"]:
    few_test = stratified_sample(test, recipe["test_texts_of_draws"], options.seed)
say(how)
table(
    [
        (part, f"{len(data):,}", *(f"{n:,}" for n in data.counts()))
        for part, data in (("training", training), ("test", test))
    ],
    ("part", "texts", *training.label_names),
)

# %% [markdown]
# ## 2. Where to begin
#
# - **from scratch**: lesson 05's network with random weights (and its tokenizer);
# - **lesson 05**: the same network with the weights that lesson 05 left;
# - **pretrained**: a real BERT. By default MiniLM (Wang et al. 2020), 6 layers 384 wide, distilled
#   from a larger network and then trained on a billion pairs of sentences; or any folder in Hugging
#   Face's layout with `--model`.
#
# The head is new in all three: a linear layer from the vector at `[CLS]` to one score for each
# label.

# %%
results_file = options.out / "results.jsonl"
if results_file.exists() and not options.resume:
    raise FileExistsError(
        f"{options.out} holds the results of a run: go on with it by --resume, or choose another "
        "folder with --out"
    )
starts = {}  # name -> (folder or None, kind of settings)
small_folder = Path(options.lesson05)
if (small_folder / "model.safetensors").is_file():
    small_tokenizer = WordPieceTokenizer.from_file(small_folder / "tokenizer.json")
    small_config = BertModel.from_pretrained(small_folder).config
    starts["lesson05"] = (small_folder, "small")
else:
    if "lesson05" in options.start:
        say(
            f"{small_folder} is no model: run lessons/05_pretrain.py first (a quarter of an hour), "
            "or name its model folder with --lesson05. This run goes on without it."
        )
    if "scratch" in options.start:
        small_tokenizer = WordPieceTokenizer.train(
            map(clean_text, training.texts), vocab_size=4096, limit_alphabet=2048
        )
        small_config = BertConfig(
            vocab_size=small_tokenizer.get_vocab_size(),
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=512,
            max_position_embeddings=64,
            initializer_range=0.05,
        )
starts["scratch"] = (None, "small")
try:
    starts["pretrained"] = (Path(options.model) if options.model else packaged_minilm(), "real")
except ImportError as error:
    if "pretrained" in options.start:
        say(f"{error}. This run goes on without it: a shorter lesson.")
starts = {name: starts[name] for name in STARTS if name in starts and name in options.start}
if not starts:
    raise ValueError("nothing is left to fine-tune: see above what is missing")


def new_classifier(start, draw):
    """The network to begin with, and its tokenizer, as a classifier that knows nothing yet."""
    folder, kind = starts[start]
    of_kind = settings[kind]
    minillm.manual_seed([options.seed, draw])
    # Attention's dropout costs time and brings little in an epoch or two.
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.0}
    if folder is None:
        id2label = dict(enumerate(training.label_names))
        config = BertConfig(**(vars(small_config) | dropout | {"id2label": id2label}))
        network, tokenizer = BertForSequenceClassification(config), small_tokenizer
    else:
        network = BertForSequenceClassification.from_encoder(
            folder, training.label_names, **dropout
        )
        tokenizer = WordPieceTokenizer.from_file(folder / "tokenizer.json")
    length = min(of_kind.max_length, network.config.max_position_embeddings)
    if options.freeze and folder is not None:
        layers = list(network.bert.layers)
        if options.freeze > len(layers):
            raise ValueError(f"--freeze {options.freeze}: {folder} has {len(layers)} layers")
        for part in (network.bert.embeddings, *layers[: options.freeze]):
            part.requires_grad_(False)
    classifier = NetworkClassifier(network, tokenizer, length, of_kind.truncation)
    classifier.threads = 1 if options.device == "cuda" else 2
    return classifier


for start in starts:
    classifier = new_classifier(start, 0)
    config = classifier.network.config
    ids = np.concatenate(classifier.encode(test.texts[:200]))
    unknown = (ids == classifier.tokenizer.token_to_id("[UNK]")).mean()
    say(
        f"{start}: {config.num_hidden_layers} layers, {config.hidden_size} wide, "
        f"{classifier.num_parameters():,} parameters; reads {classifier.max_length} tokens."
    )
    if unknown > 0.05:
        say(f"Its tokenizer doesn't know {unknown:.0%} of these texts: expect little of it.")

# %% [markdown]
# ## 3. Fine-tuning
#
# Everything learns, the pretrained layers too, but carefully: a warm-up, a small rate, and the
# lower a layer, the smaller its rate (`layer_decay`): what lies at the bottom is most general and
# should change least. A long review is cut to its beginning and its end, where it says what it is
# about and what it concludes (`head_tail`; Sun et al. 2019).


# %%
def fine_tune(start, examples, draw):
    """Train one network on one draw of so many examples; returns the classifier and a record."""
    of_kind = settings[starts[start][1]]
    data = training
    if examples is not None:
        data = stratified_sample(training, examples, seed=1000 * options.seed + draw)
    classifier = new_classifier(start, draw)
    batches = LabelledBatches(
        classifier.encode(data.texts),
        data.labels,
        batch_size=recipe["batch_size"],
        seed=draw,
        parts=2,  # each batch in two halves, for two processes
        **classifier.padding,
    )
    epochs = of_kind.epochs.get(examples) or of_kind.epochs.get(None)
    steps = max(1, round(epochs * len(batches) / 2))
    whole = examples is None
    trainer = Trainer(
        classifier.network,
        classification_objective(),
        batches.batch,
        steps=steps,
        learning_rate=of_kind.learning_rate,
        warmup_steps=steps // 10,
        parameter_groups=lambda model: layerwise_groups(model, 0.01, of_kind.layer_decay),
        **at_the_same_time(2, options.device),
        seed=options.seed + draw,
        device=options.device,
        out=options.out / start / "run" if whole else None,
        checkpoint_every=100 if whole else None,
        keep_checkpoints=1,
        data_fingerprint=batches.fingerprint,
    )
    begun = time.perf_counter()
    history = trainer.run(resume=options.resume and whole)
    seconds = time.perf_counter() - begun
    judged_by = test if whole else few_test
    correct = classifier.predict(judged_by.texts) == judged_by.labels
    record = {
        "start": start,
        "examples": len(data),
        "draw": draw,
        "first_loss": history[0]["loss"],
        "last_loss": float(np.mean([record["loss"] for record in history[-20:]])),
        "seconds": seconds,
        "accuracy": float(correct.mean()),
        "correct": "".join("01"[int(c)] for c in correct),
    }
    return classifier, record


records = [json.loads(line) for line in open(results_file)] if results_file.exists() else []
done = {(record["start"], record["examples"], record["draw"]) for record in records}
for examples in recipe["examples"]:
    if examples is not None and examples >= len(training):
        raise ValueError(f"--examples {examples}: there are {len(training)}; write 'all' for all")
    for start in starts:
        draws = options.draws or recipe["draws"].get(examples, 1)
        for draw in range(1 if examples is None else draws):
            if (start, examples or len(training), draw) in done:
                continue
            say(f"{start}, {examples or 'all'} examples, draw {draw + 1}:")
            classifier, record = fine_tune(start, examples, draw)
            print(
                f"    loss {record['first_loss']:.3f} -> {record['last_loss']:.3f}, accuracy "
                f"{record['accuracy']:.1%}, {record['seconds']:.0f} s"
            )
            if examples is None or examples == max(n or len(training) for n in recipe["examples"]):
                classifier.save_pretrained(options.out / start / "model")
            records.append(record)
            atomic_write(results_file, "".join(json.dumps(r) + "\n" for r in records))

# %% [markdown]
# ## 4. What are labels worth?
#
# Each point is the mean over its draws. The interval is a bootstrap over draws and test texts: draw
# both again, with replacement, a few thousand times, and see where 95 % of the means lie. Three
# draws are few: take the intervals at the left as a lower bound.

# %%
names = {"scratch": "from scratch", "lesson05": "lesson 05", "pretrained": "pretrained"}
counts = sorted({record["examples"] for record in records})
curves, rows = {}, []
for start in starts:
    cells = []
    for n in counts:
        correct = [
            [c == "1" for c in record["correct"]]
            for record in records
            if (record["start"], record["examples"]) == (start, n)
        ]
        if not correct:
            cells.append("")
            continue
        mean, low, high = accuracy_over_draws(correct)
        curves.setdefault(names[start], []).append((n, mean, low, high))
        cells.append(f"{mean:.1%} [{low:.1%}, {high:.1%}]")
    seconds = sum(record["seconds"] for record in records if record["start"] == start)
    rows.append((names[start], *cells, f"{seconds / 60:.1f}"))
table(rows, ("accuracy, by labelled examples", *(f"{n:,}" for n in counts), "minutes"))
plot_learning_curves(curves, options.out / "learning_curves.png")
pictures(options.out / "learning_curves.png")

# %% [markdown]
# What came out of the default run (two cores of an EPYC; accuracy and interval):
#
# | | 100 | 1,000 | 20,000 |
# |---|---|---|---|
# | from scratch | 57.3 % [53.3, 60.9] | 69.2 % [66.5, 71.8] | 80.5 % [79.4, 81.7] |
# | lesson 05 | 53.8 % [50.7, 56.8] | 68.3 % [64.9, 71.8] | 82.0 % [81.0, 83.1] |
# | pretrained | 80.3 % [77.5, 83.0] | 86.2 % [84.0, 88.2] | 90.4 % [89.6, 91.3] |
#
# With 100 labelled reviews the real network is where the small one gets with 20,000: two hundred
# times as many. A quarter of an hour of reading, which is what lesson 05 could afford, isn't worth
# anything here until there are many labels. And yet: lesson 06's n-grams, which have read nothing,
# reach 92 % with all of them. Pretraining pays where labels are few. (With all of them, up to 512
# tokens of each and a second look, MiniLM gets to 92.4 % [91.7, 93.1] in fifty minutes: level with
# the n-grams, not ahead. `--start pretrained --examples all --max-length 512 --epochs 2`)

# %% [markdown]
# ## 5. The finished classifier
#
# A folder in Hugging Face's layout, `AutoModelForSequenceClassification` opens it, too. Three lines
# in another program are enough:

# %%
best = max(records, key=lambda record: (record["examples"], record["accuracy"]))["start"]
folder = options.out / best / "model"
classifier = TextClassifier.from_pretrained(folder)
sentences = [
    "A joy from the first minute to the last.",
    "I wanted my money back, and then my two hours.",
    "Great actors, a clever script, and yet it bored me to tears.",
]
if options.data:
    sentences = [text[:200] for text in test.texts[:3]]
rows = [
    (text if len(text) < 70 else text[:67] + "...", answer["label"], f"{answer['score']:.1%}")
    for text, answer in zip(sentences, classifier(sentences), strict=True)
]
table(rows, ("text", "label", "score"))

say(f"On {len(few_test):,} test texts, {names[best]}:")
print(
    classification_report(
        few_test.labels, classifier.predict(few_test.texts), target_names=few_test.label_names
    )
)
say(f"Saved: {folder} (the classifier) and {results_file} (each network and draw).")

# %% [markdown]
# ## Questions
#
# 1. From the picture: how many labelled examples is pretraining worth? (Read it horizontally: where
#    does "from scratch" reach what "pretrained" has at 100?)
# 2. Set `--layer-decay 1` and `--learning-rate 1e-3` for the pretrained network on 100 examples.
#    What happens to the loss, what to the accuracy, and why?
# 3. `--freeze 6` leaves MiniLM as it is and trains the head (and the pooler) alone. How much of the
#    advantage remains, and how much faster is a step?
# 4. Why are the intervals at 100 examples wider than 1,000 test texts alone would make them?
# 5. Lesson 05's network has read the test reviews, without their labels. How would you find out
#    whether that helps it?
#
# ## Exercise
#
# `lessons/exercises/ex07_finetune.py` has functions to fill in: head and tail of a text, batches,
# pooling with a mask and its gradient, freezing, layer-wise rates, class weights, early stopping.
# Grade yourself with
#
#     python -m pytest tests/exercises -k ex07
#
# An experiment besides: fine-tune on other labelled texts (`--data my.csv`, columns `text` and
# `label`), and find the number of examples from which on lesson 06's n-grams beat the pretrained
# network. Is there one?
