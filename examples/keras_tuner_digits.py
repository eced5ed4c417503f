"""KerasTuner searches NASNet's cells with our strategy: scikit-learn's digits, seconds, no download.

python examples/keras_tuner_digits.py [FOLDER]   # runs/keras_tuner; once more: nothing is left to do
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import keras_tuner
from sklearn.datasets import load_digits

from cells.spaces.nasnet import NASNetSpace
from controller.oracle import ControllerOracle
from nasnet.networks.config import NetworkConfig
from nasnet.networks.hypermodel import NASNetHyperModel

TRIALS = 2

digits = load_digits()
x, y = digits.images[..., None] * 16.0, digits.target  # [1797, 8, 8, 1], 0 to 255
train, valid = slice(0, 200), slice(1400, 1797)

hypermodel = NASNetHyperModel(10, (8, 8, 1), NetworkConfig(repeats=1, filters=2), space=NASNetSpace(blocks=1))
oracle = ControllerOracle(hypermodel.space, "evolution", "val_accuracy", max_trials=TRIALS)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/keras_tuner").absolute()
tuner = keras_tuner.Tuner(oracle=oracle, hypermodel=hypermodel, directory=str(folder.parent), project_name=folder.name)
tuner.search(x[train], y[train], validation_data=(x[valid], y[valid]), epochs=1, verbose=0)

tuner.results_summary(1)
best = tuner.get_best_hyperparameters()[0]
print(hypermodel.genotype(best))
accuracy = tuner.get_best_models()[0].evaluate(x[valid], y[valid], verbose=0, return_dict=True)["accuracy"]
print(f"valid accuracy {accuracy:.4f} of the best of {len(oracle.trials)} trials")
