"""What was learned, and compared with what."""

from minillm.evaluation.baselines import NeighbourGuess, WordOverlap
from minillm.evaluation.calibration import (
    brier_score_loss,
    calibration_curve,
    expected_calibration_error,
    log_loss,
    reliability_bins,
)
from minillm.evaluation.causal import causal_measures, evaluate_causal
from minillm.evaluation.classification import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)
from minillm.evaluation.comparison import (
    bootstrap_interval,
    mcnemar,
    paired_bootstrap,
    wilson_interval,
)
from minillm.evaluation.draws import accuracy_over_draws
from minillm.evaluation.language_model import (
    bits_per_byte,
    evaluate_baselines,
    evaluate_pretraining,
    perplexity,
)
from minillm.evaluation.ranking import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from minillm.evaluation.report import classification_report
from minillm.evaluation.word_vectors import (
    evaluate_word_analogies,
    evaluate_word_pairs,
    spearman,
)
