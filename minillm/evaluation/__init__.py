"""What was learned, and compared with what."""

from minillm.evaluation.baselines import NeighbourGuess, WordOverlap
from minillm.evaluation.language_model import evaluate_baselines, evaluate_pretraining
