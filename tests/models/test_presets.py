"""The presets: every one makes a classifier that can be trained and opened again."""

from dataclasses import fields

import numpy as np
import pytest

from minillm.data.labelled_batches import LabelledBatches
from minillm.models.presets import PRESETS
from minillm.models.text_classifier import TextClassifier
from minillm.training import Trainer
from minillm.training.classification import classification_objective

TEXTS = [
    "A joy.<br />A joy from start to end!",
    "A waste of time.",
    "Good, a joy.",
    "Bad waste.",
] * 4
LABELS = np.array([1, 0, 1, 0] * 4)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_classifier_that_learns(device, tmp_path, name):
    preset = PRESETS[name]
    classifier = preset.classifier(TEXTS, ["negative", "positive"])
    assert "br" not in classifier.tokenizer.get_vocab()  # cleaned before words are counted
    assert classifier.label_names == ["negative", "positive"]
    batches = LabelledBatches(
        classifier.encode(TEXTS), LABELS, preset.batch_size, **classifier.padding
    )
    settings = preset.training | {"epochs": 8, "accumulate": 1, "threads": 1}
    history = Trainer(
        classifier.network,
        classification_objective(),
        batches.batch,
        steps_per_epoch=len(batches),
        device=device,
        progress=False,
        **settings,
    ).run()
    assert history[-1]["loss"] < history[0]["loss"]
    classifier.save_pretrained(tmp_path / "m")
    again = TextClassifier.from_pretrained(tmp_path / "m")
    again.network.to(device)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))


def test_training_settings_are_arguments_of_the_trainer():
    known = {field.name for field in fields(Trainer)}
    for preset in PRESETS.values():
        assert set(preset.training) <= known and "epochs" in preset.training
