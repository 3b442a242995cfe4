"""Mistakes that students make in lesson 07's exercises, each with the words that must name it."""

import numpy as np

from grading.mistakes import mistake

# head_and_tail


def _cut(ids, max_length, head):
    return ids if len(ids) <= max_length else ids[:head] + ids[len(ids) - (max_length - head) :]


@mistake("head_and_tail", "the head is missing: 128 // 510 is 0")
def integer_division_first(ids, max_length):
    return _cut(ids, max_length, max_length * (128 // 510))


@mistake("head_and_tail", "the tail is missing")
def head_only(ids, max_length):
    return ids[:max_length]


@mistake("head_and_tail", "half and half")
def half_and_half(ids, max_length):
    return _cut(ids, max_length, max_length // 2)


@mistake("head_and_tail", "the head is a quarter, not the tail")
def three_quarters_first(ids, max_length):
    return _cut(ids, max_length, max_length - max_length * 128 // 510)


@mistake("head_and_tail", "128 and 382 are for 510 tokens")
def always_128(ids, max_length):
    return ids[:128] + ids[-382:]


@mistake("head_and_tail", "a short text stays as it is")
def short_text_doubled(ids, max_length):
    head = max_length * 128 // 510
    return ids[:head] + ids[-(max_length - head) :]


@mistake("head_and_tail", "the last token is lost")
def last_token_lost(ids, max_length):
    head = max_length * 128 // 510
    return ids if len(ids) <= max_length else ids[:head] + ids[head - max_length : -1]


@mistake("head_and_tail", "round down: head = floor(...)")
def rounded(ids, max_length):
    return _cut(ids, max_length, round(max_length * 128 / 510))


@mistake("head_and_tail", "the special tokens are added later")
def room_for_special_tokens(ids, max_length):
    return _cut(ids, max_length - 2, (max_length - 2) * 128 // 510)


@mistake("head_and_tail", "the tail comes after the head")
def tail_first(ids, max_length):
    head = max_length * 128 // 510
    if len(ids) <= max_length:
        return ids
    return ids[len(ids) - (max_length - head) :] + ids[:head]


@mistake("head_and_tail", "in place")
def cut_in_place(ids, max_length):
    head = max_length * 128 // 510
    if len(ids) > max_length:
        del ids[head : len(ids) - (max_length - head)]
    return ids


# epoch_batches


def _slices(order, size):
    return [order[i : i + size] for i in range(0, len(order), size)]


@mistake("epoch_batches", "the last batch is dropped")
def last_batch_dropped(n, batch_size, rng):
    order = rng.permutation(n).tolist()
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(n // batch_size)]


@mistake("epoch_batches", "not shuffled")
def not_shuffled(n, batch_size, rng):
    return _slices(list(range(n)), batch_size)


@mistake("epoch_batches", "with replacement")
def with_replacement(n, batch_size, rng):
    return _slices(rng.integers(0, n, n).tolist(), batch_size)


@mistake("epoch_batches", "filled up")
def last_batch_filled_up(n, batch_size, rng):
    order = rng.permutation(n)
    return _slices(np.resize(order, -(-n // batch_size) * batch_size).tolist(), batch_size)


@mistake("epoch_batches", "only the last batch may be smaller")
def equal_parts(n, batch_size, rng):
    parts = np.array_split(rng.permutation(n), -(-n // batch_size))
    return [part.tolist() for part in parts]


@mistake("epoch_batches", "only the last batch may be smaller")
def small_batch_first(n, batch_size, rng):
    order = rng.permutation(n).tolist()
    first = n % batch_size
    return ([order[:first]] if first else []) + _slices(order[first:], batch_size)


@mistake("epoch_batches", "neighbours stay together")
def only_batches_shuffled(n, batch_size, rng):
    batches = _slices(list(range(n)), batch_size)
    full = batches[: n // batch_size]
    return [full[i] for i in rng.permutation(len(full))] + batches[n // batch_size :]


@mistake("epoch_batches", "from 0 to n - 1")
def from_one(n, batch_size, rng):
    return _slices((1 + rng.permutation(n)).tolist(), batch_size)


@mistake("epoch_batches", "from `rng`")
def batches_of_another_generator(n, batch_size, rng):
    return _slices(np.random.default_rng(5).permutation(n).tolist(), batch_size)


# mean_pool


@mistake("mean_pool", "padding is counted: use the mask")
def padding_counted(hidden, attention_mask):
    return hidden.mean(axis=1)


@mistake("mean_pool", "divided by L, not by the number of tokens")
def divided_by_length(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).mean(axis=1)


@mistake("mean_pool", "the sum, not the mean")
def summed(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).sum(axis=1)


@mistake("mean_pool", "each text has a number of tokens of its own")
def divided_by_the_batch(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).sum(axis=1) / max(attention_mask.sum(), 1)


@mistake("mean_pool", "a text without any token: 0 / 0 must be 0")
def nan_without_tokens(hidden, attention_mask):
    with np.errstate(all="ignore"):
        count = attention_mask.sum(axis=1, keepdims=True)
        return (hidden * attention_mask[:, :, None]).sum(axis=1) / count


@mistake("mean_pool", "the first token alone")
def first_token(hidden, attention_mask):
    return hidden[:, 0] * (attention_mask.sum(axis=1, keepdims=True) > 0)


@mistake("mean_pool", "the maximum, not the mean")
def maximum(hidden, attention_mask):
    masked = np.where(attention_mask[:, :, None] > 0, hidden, -np.inf).max(axis=1)
    return np.where(np.isfinite(masked), masked, 0)


@mistake("mean_pool", "the mask is inverted")
def mean_of_the_padding(hidden, attention_mask):
    mask = 1 - attention_mask
    count = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    return (hidden * mask[:, :, None]).sum(axis=1) / count


@mistake("mean_pool", "a vector for each text, not for all texts together")
def mean_of_the_batch(hidden, attention_mask):
    total = (hidden * attention_mask[:, :, None]).sum(axis=(0, 1)) / max(attention_mask.sum(), 1)
    return np.broadcast_to(total, (len(hidden), hidden.shape[2])).copy()


# mean_pool_backward


def _spread(dy, mask, count):
    return mask[:, :, None] * (dy / np.maximum(count, 1))[:, None, :]


@mistake("mean_pool_backward", "not divided by the number of tokens")
def not_divided(dy, attention_mask):
    return _spread(dy, attention_mask, np.ones((len(dy), 1)))


@mistake("mean_pool_backward", "divided by L, not by the number of tokens")
def gradient_divided_by_length(dy, attention_mask):
    return _spread(dy, attention_mask, attention_mask.shape[1])


@mistake("mean_pool_backward", "padding gets no gradient")
def gradient_for_padding(dy, attention_mask):
    count = attention_mask.sum(axis=1, keepdims=True)
    return _spread(dy, np.ones_like(attention_mask), count)


@mistake("mean_pool_backward", "each text has a number of tokens of its own")
def gradient_divided_by_the_batch(dy, attention_mask):
    return _spread(dy, attention_mask, attention_mask.sum())


@mistake("mean_pool_backward", "a text without any token: 0 / 0 must be 0")
def gradient_without_tokens(dy, attention_mask):
    with np.errstate(all="ignore"):
        return attention_mask[:, :, None] * (dy / attention_mask.sum(1, keepdims=True))[:, None]


@mistake("mean_pool_backward", "every token of the text gets its share")
def all_for_the_first(dy, attention_mask):
    dhidden = np.zeros((*attention_mask.shape, dy.shape[1]))
    dhidden[:, 0] = dy * attention_mask[:, :1]
    return dhidden


@mistake("mean_pool_backward", "the axes are (B, L, H)")
def axes_swapped(dy, attention_mask):
    count = attention_mask.sum(axis=1, keepdims=True)
    return _spread(dy, attention_mask, count).swapaxes(1, 2)


# learning_parameters


def _layer(name):
    return int(name.split(".")[2]) if name.startswith("bert.layers.") else None


def _learning(names, n, of_layer, embeddings=True, head=True):
    learn = []
    for name in names:
        if name.startswith("bert.embeddings"):
            keep = not (embeddings and n)
        elif _layer(name) is None:
            keep = head
        else:
            keep = of_layer(_layer(name))
        learn += [name] * keep
    return learn


@mistake("learning_parameters", "layer 10 is not layer 1")
def by_prefix(names, frozen_layers):
    frozen = tuple(f"bert.layers.{i}" for i in range(frozen_layers))
    if frozen_layers:
        frozen += ("bert.embeddings",)
    return [name for name in names if not name.startswith(frozen)]


@mistake("learning_parameters", "compare numbers, not texts")
def layers_compared_as_texts(names, frozen_layers):
    return _learning(names, frozen_layers, lambda i: str(i) >= str(frozen_layers))


@mistake("learning_parameters", "one layer too many is frozen")
def one_too_many(names, frozen_layers):
    return _learning(names, frozen_layers, lambda i: i > frozen_layers)


@mistake("learning_parameters", "one layer too few is frozen")
def one_too_few(names, frozen_layers):
    return _learning(names, frozen_layers, lambda i: i >= frozen_layers - 1)


@mistake("learning_parameters", "the embeddings are frozen with the layers")
def embeddings_learn(names, frozen_layers):
    return _learning(names, frozen_layers, lambda i: i >= frozen_layers, embeddings=False)


@mistake("learning_parameters", "with 0 nothing is frozen")
def embeddings_always_frozen(names, frozen_layers):
    learn = _learning(names, frozen_layers, lambda i: i >= frozen_layers)
    return [name for name in learn if not name.startswith("bert.embeddings")]


@mistake("learning_parameters", "the pooler and the classifier always learn")
def head_frozen(names, frozen_layers):
    return _learning(names, frozen_layers, lambda i: i >= frozen_layers, head=not frozen_layers)


@mistake("learning_parameters", "the lowest layers are frozen, not the uppermost")
def upper_layers_frozen(names, frozen_layers):
    top = max((_layer(name) or 0) for name in names)
    return _learning(names, frozen_layers, lambda i: i <= top - frozen_layers)


@mistake("learning_parameters", "the names of those that learn, not of the frozen ones")
def frozen_names(names, frozen_layers):
    learn = _learning(names, frozen_layers, lambda i: i >= frozen_layers)
    return [name for name in names if name not in learn]


# layer_learning_rates


def _depth(name, n_layers):
    if name.startswith("bert.embeddings"):
        return 0
    layer = _layer(name)
    return n_layers + 1 if layer is None else layer + 1


@mistake("layer_learning_rates", "upside down: the embeddings have the smallest rate")
def upside_down(names, n_layers, learning_rate, decay):
    return {name: learning_rate * decay ** _depth(name, n_layers) for name in names}


@mistake("layer_learning_rates", "the uppermost layer has decay once")
def off_by_one(names, n_layers, learning_rate, decay):
    top = n_layers
    return {name: learning_rate * decay ** max(top - _depth(name, n_layers), 0) for name in names}


@mistake("layer_learning_rates", "the classifier has the whole rate")
def head_decays(names, n_layers, learning_rate, decay):
    top = n_layers + 2
    return {name: learning_rate * decay ** (top - _depth(name, n_layers)) for name in names}


@mistake("layer_learning_rates", "the embeddings are below layer 0")
def embeddings_like_layer_zero(names, n_layers, learning_rate, decay):
    return {
        name: learning_rate * decay ** (n_layers + 1 - max(_depth(name, n_layers), 1))
        for name in names
    }


@mistake("layer_learning_rates", "decay to a power, not times")
def decay_times_distance(names, n_layers, learning_rate, decay):
    rates = {}
    for name in names:
        distance = n_layers + 1 - _depth(name, n_layers)
        rates[name] = learning_rate * decay * distance if distance else learning_rate
    return rates


@mistake("layer_learning_rates", "decay once for each layer between, not once in all")
def decay_once(names, n_layers, learning_rate, decay):
    return {
        name: learning_rate * (1 if _depth(name, n_layers) == n_layers + 1 else decay)
        for name in names
    }


@mistake("layer_learning_rates", "the pooler belongs to the head")
def pooler_like_the_uppermost_layer(names, n_layers, learning_rate, decay):
    def depth(name):
        return n_layers if name.startswith("bert.pooler") else _depth(name, n_layers)

    return {name: learning_rate * decay ** (n_layers + 1 - depth(name)) for name in names}


@mistake("layer_learning_rates", "n_layers says how many layers there are")
def top_from_the_names(names, n_layers, learning_rate, decay):
    n = max((_layer(name) + 1 for name in names if _layer(name) is not None), default=0)
    return {name: learning_rate * decay ** (n + 1 - _depth(name, n)) for name in names}


@mistake("layer_learning_rates", "a layer's number may have two digits")
def one_digit(names, n_layers, learning_rate, decay):
    def depth(name):
        layer = _layer(name)
        return _depth(name, n_layers) if layer is None else int(str(layer)[0]) + 1

    return {name: learning_rate * decay ** (n_layers + 1 - depth(name)) for name in names}


# class_weights


@mistake("class_weights", "the wrong way round: a rare class has the larger weight")
def frequencies(labels, n_classes):
    return np.bincount(labels, minlength=n_classes) / len(labels)


@mistake("class_weights", "C is missing in the divisor")
def without_classes(labels, n_classes):
    return len(labels) / np.bincount(labels, minlength=n_classes)


@mistake("class_weights", "N is missing")
def without_examples(labels, n_classes):
    return 1 / (n_classes * np.bincount(labels, minlength=n_classes))


@mistake("class_weights", "1 / N_c alone")
def inverse_counts(labels, n_classes):
    return 1 / np.bincount(labels, minlength=n_classes)


@mistake("class_weights", "the weights needn't add up to 1")
def normalised(labels, n_classes):
    w = 1 / np.bincount(labels, minlength=n_classes)
    return w / w.sum()


@mistake("class_weights", "relative to the largest class")
def relative_to_the_largest(labels, n_classes):
    counts = np.bincount(labels, minlength=n_classes)
    return counts.max() / counts


@mistake("class_weights", "integer division")
def whole_weights(labels, n_classes):
    return len(labels) // (n_classes * np.bincount(labels, minlength=n_classes))


@mistake("class_weights", "one weight a class, not one an example")
def a_weight_an_example(labels, n_classes):
    return (len(labels) / (n_classes * np.bincount(labels, minlength=n_classes)))[labels]


# weighted_cross_entropy


def _losses(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


@mistake("weighted_cross_entropy", "divided by the number of examples")
def divided_by_examples(logits, labels, weights):
    return float((weights[labels] * _losses(logits, labels)).mean())


@mistake("weighted_cross_entropy", "not divided at all")
def not_a_mean(logits, labels, weights):
    return float((weights[labels] * _losses(logits, labels)).sum())


@mistake(
    "weighted_cross_entropy", "divided by the sum of the classes' weights, not of the examples'"
)
def divided_by_the_classes_weights(logits, labels, weights):
    return float((weights[labels] * _losses(logits, labels)).sum() / weights.sum())


@mistake("weighted_cross_entropy", "the weights are ignored")
def unweighted(logits, labels, weights):
    return float(_losses(logits, labels).mean())


@mistake("weighted_cross_entropy", "an example has the weight of its label, not of its row")
def weights_by_row(logits, labels, weights):
    w = np.resize(weights, len(labels))
    return float((w * _losses(logits, labels)).sum() / w.sum())


@mistake(
    "weighted_cross_entropy", "an example has the weight of its label, not of the predicted class"
)
def weights_by_prediction(logits, labels, weights):
    w = weights[logits.argmax(axis=1)]
    return float((w * _losses(logits, labels)).sum() / w.sum())


@mistake("weighted_cross_entropy", "the weight stands before the logarithm")
def weight_inside(logits, labels, weights):
    return float((_losses(logits, labels) - np.log(weights[labels])).mean())


@mistake("weighted_cross_entropy", "the weight stands before the logarithm")
def weighted_logits(logits, labels, weights):
    return float(_losses(logits * weights, labels).mean())


@mistake("weighted_cross_entropy", "subtract the maximum before exp")
def without_maximum(logits, labels, weights):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        losses = -np.log(p[np.arange(len(labels)), labels])
    w = weights[labels]
    return float((w * losses).sum() / w.sum())


@mistake("weighted_cross_entropy", "the sign: it is minus log p")
def without_minus(logits, labels, weights):
    w = weights[labels]
    return float(-(w * _losses(logits, labels)).sum() / w.sum())


# early_stopping


def _watch(losses, patience, better=lambda new, best: new < best, reset=True, more=0):
    best, best_loss, waited = 0, losses[0], 0
    for i, loss in enumerate(losses):
        if i == 0 or better(loss, best_loss):
            best, best_loss = i, loss
            waited = 0 if reset else waited
        else:
            waited += 1
        if waited >= patience + more:
            return best, i + 1
    return best, len(losses)


@mistake("early_stopping", "in a row: a better loss sets the count back to 0")
def count_never_set_back(losses, patience):
    return _watch(losses, patience, reset=False)


@mistake("early_stopping", "one validation too late")
def one_too_late(losses, patience):
    return _watch(losses, patience, more=1)


@mistake("early_stopping", "how many were made is a count, not the number of the last one")
def index_of_the_last(losses, patience):
    best, made = _watch(losses, patience)
    return best, made - 1


@mistake("early_stopping", "the last validation, not the best")
def last_not_best(losses, patience):
    made = _watch(losses, patience)[1]
    return made - 1, made


@mistake("early_stopping", "the best of all, also of those that are never seen")
def best_of_the_future(losses, patience):
    return int(np.nanargmin(losses)), _watch(losses, patience)[1]


@mistake("early_stopping", "less is better")
def largest_loss(losses, patience):
    return _watch(losses, patience, better=lambda new, best: new > best)


@mistake("early_stopping", "equal is not better")
def equal_is_better(losses, patience):
    return _watch(losses, patience, better=lambda new, best: new <= best)


@mistake("early_stopping", "nan is never better")
def nan_is_better(losses, patience):
    return _watch(losses, patience, better=lambda new, best: not new >= best)


@mistake("early_stopping", "compare with the best before, not with the one before")
def compared_with_the_previous(losses, patience):
    best, waited = 0, 0
    for i in range(1, len(losses)):
        if losses[i] < losses[best]:
            best = i
        waited = 0 if losses[i] < losses[i - 1] else waited + 1
        if waited >= patience:
            return best, i + 1
    return best, len(losses)


@mistake("early_stopping", "stops at the first that isn't better: patience says how many")
def impatient(losses, patience):
    return _watch(losses, 1)


@mistake("early_stopping", "the validations count from 0")
def counted_from_one(losses, patience):
    best, made = _watch(losses, patience)
    return best + 1, made


@mistake("early_stopping", "the number of the validation, not its loss")
def loss_returned(losses, patience):
    best, made = _watch(losses, patience)
    return losses[best], made
