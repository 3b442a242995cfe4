# %% [markdown]
# # Lesson 06: what did it learn?
#
# "My network has 92 % accuracy" says little. On which texts? Has it seen them? What does a method
# without a network reach? And would another five thousand texts have given 91 or 93? This lesson
# trains classifiers of five kinds on the same film reviews and judges them so that the numbers mean
# something.
#
# **You will learn** why a number needs a split, a baseline and an interval; what precision, recall,
# F1, AUC and calibration say that accuracy doesn't; how to ask whether A is better than B; how to
# read errors; and what over- and underfitting look like, with the two usual remedies.
#
# **Expectation card** (the default run; `--quick` is too short for most of it)
#
# | what | expected |
# |---|---|
# | loss of a network at step 0 | near ln 2 = 0.69: two classes, nothing known |
# | always the most frequent class | 50 % |
# | n-grams with naive-Bayes weights | near 92 %: hard to beat |
# | averaged vectors, convolution, LSTM | 88 to 91 %, and slower |
# | training loss near 0, validation loss rising | overfitting: stop earlier, or regularise |
# | the classical LSTM recipe | 83 to 84 %, and far too sure of itself |
# | broken: 50 % after an epoch | the learning rate, or labels that don't belong to the texts |
# | broken: 99 % on the test texts | they were among the training texts |

# %%
import json
import time
import warnings
from dataclasses import replace

import numpy as np

import minillm
from minillm.data import LabelledBatches, stratified_sample, train_test_split
from minillm.evaluation import (
    accuracy_score,
    bootstrap_interval,
    classification_report,
    confusion_matrix,
    expected_calibration_error,
    mcnemar,
    precision_recall_fscore_support,
    roc_auc_score,
)
from minillm.evaluation.classification_pictures import (
    plot_calibration,
    plot_confusion_matrix,
    plot_fitting,
    plot_learning_curves,
    plot_roc,
)
from minillm.lessons import arguments, labelled_data, labelled_options, pictures, say, table
from minillm.models import NGramClassifier, NGramNetworkClassifier
from minillm.models.presets import PRESETS
from minillm.training import Trainer, classification_objective, classification_validation

MODELS = {
    "ngrams": "n-grams, naive-Bayes weights",
    "ngram-network": "n-gram network",
    "average": "averaged word vectors",
    "cnn": "convolution",
    "lstm-recipe": "LSTM, classical recipe",
    "lstm": "LSTM, our variant",
}


def add_options(parser):
    labelled_options(parser)
    # The classical recipe's ten epochs take as long as half of the others together: only if wished.
    default = [name for name in MODELS if name != "lstm-recipe"]
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=default, help="which classifiers"
    )


options = arguments("06_evaluate", "Train classifiers and judge them.", add_options)

# %% [markdown]
# ## 1. A split, and what it can't do
#
# A fifth of the texts is set aside, the same for all classifiers, and looked at once, at the end.
# Whatever there is to choose (settings, when to stop) is chosen on *validation* texts, a part of
# the training texts; the presets that are used below were found like that. Equal texts stay on one
# side. Still the split is kind: people write several reviews of one film, with the same names in
# them, and the data don't say which film a review is about. Section 7 measures what that is worth.

# %%
limit = 600 if options.quick else None
training, test, how = labelled_data(options, limit)
C = len(training.label_names)
say(how)
table(
    [
        (part, f"{len(data):,}", *(f"{n:,}" for n in data.counts()))
        for part, data in (("training", training), ("test", test))
    ],
    ("part", "texts", *training.label_names),
)

# %% [markdown]
# ## 2. Baselines
#
# The first: always say what is most frequent. The second is a method of 2012 without a network
# (Wang & Manning). Every word, pair and triple of words that occurs in a text is a feature,
# weighted by how much more often it occurs in one class than in the other,
#
#     r = log( (p / |p|) / (q / |q|) )      p, q: smoothed counts in the two classes
#
# and a logistic regression learns on top of that. A network that doesn't beat it isn't worth its
# electricity.


# %%
def majority():
    """The part of the test texts that the most frequent class of the training texts gets right."""
    return float((test.labels == np.argmax(training.counts())).mean())


say(f"Always {training.label_names[int(np.argmax(training.counts()))]!r}: {majority():.1%}.")

# %% [markdown]
# ## 3. Training
#
# - **n-grams** and the **n-gram network**: the baseline, and a network that begins as the baseline.
# - **averaged word vectors** and fully connected layers (Iyyer et al. 2015): no order of words,
#   SGD.
# - **convolution** (Kim 2014): filters over windows of words, the best window of the text counts.
# - **LSTM, classical recipe**: Embedding(128), LSTM(128), LSTM(128), Dense(1, sigmoid), the last
#   128 words, Adam with rate 0.001, batches of 32, 10 epochs, no validation. Often quoted with
#   92.19 %. Seven minutes more, so only if asked for: `--models lstm-recipe`.
# - **LSTM, our variant**: both directions, max over time, dropout, more words, three epochs.


# %%
def new_trainer(classifier, preset, data, validation=None):
    """A Trainer for one of the networks; with `validation`, texts to look at after every epoch."""

    def batches_of(texts, **how):
        ids = classifier.encode(texts.texts)
        return LabelledBatches(ids, texts.labels, **how, **classifier.padding)

    batches = batches_of(data, batch_size=preset.batch_size, seed=options.seed)
    validating = {}
    if validation is not None:
        held_out = batches_of(validation, batch_size=64, shuffle=False)
        validating = {"validate": classification_validation(held_out), "validate_every": "epoch"}
    settings = preset.training | ({"epochs": 1} if options.quick else {})
    return Trainer(
        classifier.network,
        classification_objective(),
        batches.batch,
        steps_per_epoch=len(batches),
        seed=options.seed,
        device=options.device,
        **validating,
        **settings,
    )


def train(name):
    """Train the classifier called `name`; a network's records come with it."""
    if name == "ngrams":
        return NGramClassifier.train(training.texts, training.labels, training.label_names), []
    if name == "ngram-network":
        network = NGramNetworkClassifier.train(
            training.texts, training.labels, training.label_names, seed=options.seed
        )
        return network, []
    preset = PRESETS[name]
    if options.quick:
        preset = replace(preset, max_length=64)
    if C > 2 and preset.config.get("head", "sigmoid") == "sigmoid" and name.startswith("lstm"):
        preset = replace(preset, config=preset.config | {"head": "softmax"})
    minillm.manual_seed(options.seed)
    classifier = preset.classifier(training.texts, training.label_names)
    return classifier, new_trainer(classifier, preset, training).run()


results = {}
for name in options.models:
    say(f"{MODELS[name]}:")
    begun = time.perf_counter()
    classifier, history = train(name)
    seconds = time.perf_counter() - begun
    classifier.save_pretrained(options.out / name)
    results[name] = {
        "probabilities": classifier.predict_proba(test.texts, batch_size=64),
        "parameters": classifier.num_parameters(),
        "seconds": seconds,
        "history": history,
    }
    print(f"    {seconds:.0f} s")

# %% [markdown]
# ## 4. One table
#
# - **accuracy**: the part of right answers. In brackets: where 95 % of the accuracies would lie if
#   the test texts were drawn again (bootstrap).
# - **P**, **R**, **F1**: precision (of those called positive, the part that is), recall (of the
#   positive ones, the part that was found), and their harmonic mean, averaged over the classes.
#   They part from the accuracy when classes are of unequal size.
# - **AUC**: the probability that a positive text scores higher than a negative one; needs no
#   threshold.
# - **ECE**: expected calibration error. A network that says "90 %" should be right in 90 % of such
#   cases; the average distance from that.


# %%
def auc(labels, p):
    """Two classes: by the score of the second; more: each against the rest."""
    return roc_auc_score(labels, p[:, 1]) if C == 2 else roc_auc_score(labels, p, multi_class="ovr")


rows = [("most frequent class", f"{majority():.2%}", *[""] * 6, "0", "0")]
for name, result in results.items():
    p = result["probabilities"]
    predicted = result["predicted"] = p.argmax(axis=1)
    low, high = bootstrap_interval(accuracy_score, test.labels, predicted)
    precision, recall, f1, _ = precision_recall_fscore_support(
        test.labels, predicted, average="macro", zero_division=0
    )
    area = auc(test.labels, p)
    area_low, area_high = bootstrap_interval(auc, test.labels, p, n=200)
    result |= {"accuracy": accuracy_score(test.labels, predicted), "auc": area}
    rows.append(
        (
            MODELS[name],
            f"{result['accuracy']:.2%}",
            f"[{low:.1%}, {high:.1%}]",
            f"{precision:.3f}",
            f"{recall:.3f}",
            f"{f1:.3f}",
            f"{area:.4f} [{area_low:.4f}, {area_high:.4f}]",
            f"{expected_calibration_error(test.labels, p):.3f}",
            f"{result['parameters']:,}",
            f"{result['seconds']:.0f}",
        )
    )
header = ("classifier", "accuracy", "95 %", "P", "R", "F1", "AUC", "ECE", "parameters", "seconds")
table(rows, header)
ranking = sorted(results, key=lambda name: -results[name]["accuracy"])
best = ranking[0]
(options.out / "results.json").write_text(
    json.dumps(
        {
            name: {k: result[k] for k in ("accuracy", "auc", "parameters", "seconds")}
            for name, result in results.items()
        },
        indent=2,
    )
    + "\n"
)
say(f"The best, {MODELS[best]}, class by class:")
print(classification_report(test.labels, results[best]["predicted"], target_names=test.label_names))

# %% [markdown]
# ## 5. Is A better than B?
#
# Two intervals that overlap don't decide it: both classifiers were judged by the same texts, and
# most texts are easy or hard for both. McNemar's test looks only at those that one of them alone
# gets right. If both were equally good, these would fall like a tossed coin.

# %%
rows = []
for name in ranking[1:]:
    test_result = mcnemar(test.labels, results[best]["predicted"], results[name]["predicted"])
    rows.append(
        (
            f"{MODELS[best]} or {MODELS[name]}",
            f"{test_result.only_a:,}",
            f"{test_result.only_b:,}",
            f"{test_result.p_value:.2g}",
            "the first is better" if test_result.p_value < 0.05 else "can't tell",
        )
    )
if rows:
    table(rows, ("which is better?", "only first right", "only second", "p", "verdict"))

# %% [markdown]
# ## 6. Errors
#
# The most useful minutes of an evaluation are spent reading. What do all get wrong? (Often the
# label is doubtful, or the text tells a story and judges in half a sentence.) And what does only
# one get wrong? (That shows what it can't see.)


# %%
def show(row, length=300):
    text = " ".join(test.texts[row].replace("<br />", " ").split())
    if len(text) > length:
        text = f"{text[: length // 2]} [...] {text[-length // 2 :]}"
    say(f"({test.label_names[test.labels[row]]}) {text}")


wrong = np.array([results[name]["predicted"] != test.labels for name in ranking])
by_all = np.flatnonzero(wrong.all(axis=0))
say(
    f"All {len(ranking)} classifiers are wrong about {len(by_all):,} of {len(test):,} texts"
    + (", such as:" if len(by_all) else ".")
)
sure = np.mean([results[name]["probabilities"].max(axis=1) for name in ranking], axis=0)
for row in by_all[np.argsort(-sure[by_all])][:3]:  # those of which they are surest
    show(row)
if len(ranking) > 1:
    for name, of_name in zip(ranking, wrong, strict=True):
        alone = np.flatnonzero(of_name & (wrong.sum(axis=0) == 1))
        say(
            f"Only {MODELS[name]} is wrong about {len(alone):,}"
            + (", such as:" if len(alone) else ".")
        )
        for row in alone[:1]:
            show(row)

# %% [markdown]
# ## 7. Reviews of the same film
#
# In this file the reviews of a film follow one another. If blocks of 100 neighbours stay together
# on one side of the split, hardly any film is on both. (Not a perfect split by film, as the
# positive and the negative reviews of a film lie in different places.) What is left of the accuracy
# of the n-grams then, on as many texts?

# %%
if options.data is None and "ngrams" in results:
    from minillm.data import embedded_labelled_reviews

    whole = embedded_labelled_reviews()
    if limit:
        whole = whole.subset(np.arange(0, len(whole), len(whole) // limit))
    blocks = np.arange(len(whole)) // (10 if limit else 100)
    with warnings.catch_warnings():  # of the few equal texts that lie far apart in the file
        warnings.simplefilter("ignore")
        block_training, block_test = train_test_split(whole, 0.2, seed=options.seed, groups=blocks)
    by_block = NGramClassifier.train(
        block_training.texts, block_training.labels, block_training.label_names
    )
    right = by_block.predict(block_test.texts) == block_test.labels
    say(
        f"n-grams, split by blocks of neighbours: {right.mean():.2%} of {len(right):,} texts; "
        f"split at random: {results['ngrams']['accuracy']:.2%}."
    )

# %% [markdown]
# ## 8. Under- and overfitting
#
# A small network (averaged word vectors and a hidden layer), a thousand texts to learn from, and a
# thousand to watch. With nothing against it, the training loss goes to zero: the network knows its
# texts by heart, and the validation loss rises again. **L2** (weight decay) pulls all weights
# towards zero; **dropout**, here of whole words, lets no word decide alone. Too much of either and
# the network can't even learn its examples: underfitting. The dotted line is where **early
# stopping** would stop.

# %%
few, rest = train_test_split(training, 0.5, seed=options.seed, groups=training.text_groups())
few = stratified_sample(few, min(1000, len(few)), options.seed)
watched = stratified_sample(rest, min(1000, len(rest)), options.seed)
EPOCHS = 3 if options.quick else 30
AGAINST_OVERFITTING = {
    "nothing": {},
    "L2": {"weight_decay": 0.3},
    "dropout": {"word_dropout": 0.5},
    "far too much L2": {"weight_decay": 30.0},
}


def fit_few(weight_decay=0.0, word_dropout=0.0):
    """Train on the few texts; the losses by epoch, and what validation saw of the best epoch."""
    preset = replace(
        PRESETS["average"],
        config={"word_dropout": word_dropout},
        training={
            **{"optimizer": "adamw", "learning_rate": 3e-3, "schedule": "constant"},
            **{"weight_decay": weight_decay, "epochs": EPOCHS, "progress": False},
        },
    )
    minillm.manual_seed(options.seed)
    classifier = preset.classifier(few.texts, few.label_names)
    trainer = new_trainer(classifier, preset, few, watched)
    history = trainer.run()
    per_epoch = trainer.steps_per_epoch
    losses = np.array([record["loss"] for record in history]).reshape(-1, per_epoch).mean(axis=1)
    seen = [record for record in history if "validation_loss" in record]
    validation = [record["validation_loss"] for record in seen]
    return losses, validation, [record["validation_accuracy"] for record in seen]


say(f"{len(few):,} texts to learn from, {len(watched):,} to watch, {EPOCHS} epochs:")
fitting, rows = {}, []
for name, remedy in AGAINST_OVERFITTING.items():
    losses, held_out, accuracies = fit_few(**remedy)
    epochs = range(1, len(losses) + 1)
    fitting[name] = {
        "training": list(zip(epochs, losses, strict=True)),
        "validation": list(zip(epochs, held_out, strict=True)),
    }
    stop = int(np.argmin(held_out))
    rows.append(
        (
            name,
            f"{losses[-1]:.3f}",
            f"{held_out[-1]:.3f}",
            f"{accuracies[-1]:.1%}",
            f"{held_out[stop]:.3f}",
            f"{stop + 1}",
            f"{accuracies[stop]:.1%}",
        )
    )
table(
    rows,
    (
        *("against it", "training loss", "validation loss", "accuracy"),
        *("lowest validation loss", "after epoch", "accuracy then"),
    ),
)

# %% [markdown]
# ## 9. Pictures
#
# `confusion.png`: what was taken for what. `roc.png`: which part of the positives is found at which
# rate of false alarms. `calibration.png`: is it right as often as it believes? (Below the diagonal:
# too sure of itself.) `fitting.png`: section 8. `learning_curve.png`: the n-grams by the number of
# labelled texts; does it still rise at the right end? Then more labels would help.

# %%
curve = []
for n in (100, 1000, 5000, len(training)):
    if n > len(training) or "ngrams" not in results:
        continue
    part = stratified_sample(training, n, options.seed)
    small = NGramClassifier.train(part.texts, part.labels, part.label_names)
    predicted = small.predict(test.texts)
    low, high = bootstrap_interval(accuracy_score, test.labels, predicted, n=500)
    curve.append((n, accuracy_score(test.labels, predicted), low, high))
if curve:
    plot_learning_curves({"n-grams": curve}, options.out / "learning_curve.png")
    table(
        [(f"{n:,}", f"{mean:.1%}", f"[{low:.1%}, {high:.1%}]") for n, mean, low, high in curve],
        ("labelled texts", "n-grams", "95 %"),
    )
plot_confusion_matrix(
    confusion_matrix(test.labels, results[best]["predicted"], labels=range(C)),
    test.label_names,
    options.out / "confusion.png",
)
probabilities = {MODELS[name]: results[name]["probabilities"] for name in ranking}
if C == 2:
    scores = {name: p[:, 1] for name, p in probabilities.items()}
    plot_roc(test.labels, scores, options.out / "roc.png")
plot_calibration(test.labels, probabilities, options.out / "calibration.png")
plot_fitting(fitting, options.out / "fitting.png")
drawn = ["confusion", "calibration", "fitting"] + ["roc"] * (C == 2)
drawn += ["learning_curve"] * bool(curve)
pictures(*(options.out / f"{name}.png" for name in drawn))
say(
    f"Saved: a folder for each classifier in {options.out} "
    "(TextClassifier.from_pretrained opens them) and results.json."
)

# %% [markdown]
# ## Questions
#
# 1. A test of 5,000 texts: how wide is the interval of an accuracy of 90 %? How many texts would
#    halve it?
# 2. Two classifiers, 91.8 % [91.0, 92.6] and 92.4 % [91.6, 93.1]. Can McNemar's test call that
#    difference real? When can it, and when not?
# 3. A spam filter: 1 % of the mails are spam. What accuracy has the filter that never says spam?
#    Its recall? Its AUC?
# 4. Which of the networks is too sure of itself, and does that fit with its training loss?
# 5. In section 8, what does the accuracy do while the validation loss rises? Why can both be true?
# 6. Why is the accuracy on blocks of neighbours lower? Which words of a review would tell the film?
#
# ## Exercise
#
# `lessons/exercises/ex06_evaluate.py` has functions to fill in: precision, recall and F1, the AUC,
# a stratified split, the bootstrap, McNemar's test, the calibration error. Grade yourself with
#
#     python -m pytest tests/exercises -k ex06
#
# An experiment besides: take the texts that all classifiers get wrong and label ten of them
# yourself, without looking at the label. How often do you agree with it? That is a ceiling no
# classifier can honestly pass.
