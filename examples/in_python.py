"""A search from Python, cell by cell: open it in an editor that knows `# %%`, or run it whole. Seconds on digits.

Nothing here is large enough to find a good cell: leave the sizes out for that, and give a folder of your own pictures.
"""

# %% What is searched on: arrays, as keras.datasets gives them. A folder with one folder a class would do as well.
import keras
import numpy as np
from sklearn.datasets import load_digits

from nasnet import load, network, search

digits = load_digits()
images, labels = (digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis], digits.target
train, test = (images[:1500], labels[:1500]), (images[1500:], labels[1500:])

# %% The search: every flag of `train.py --mode=search --help` is an argument. Run again, it goes on where it was.
result = search(
    (train, test),
    workdir="runs/in_python",
    trials=4,
    blocks=1,
    filters=2,
    steps=4,
    finalists=0,
    baselines="none",
    final_filters=4,
    final_epochs=2,
    on_trial=lambda trial: print(f"  told of trial {trial.trial_id}: {trial.reward}"),
)

# %% What was found.
print(result.best.genotype)
for trial in sorted(result.trials, key=lambda trial: trial.reward or 0.0, reverse=True)[:3]:
    print(trial.trial_id, trial.outcome, trial.reward)
print("report:", result.report())

# %% The trained network is a Keras model from raw pixels to logits, ready to be scored, and so is what `load` opens.
loss, accuracy = result.best.model.evaluate(*test, verbose=0)
print(f"test accuracy {accuracy:.4f}, loss {loss:.4f}; of the search's own metrics {result.best.metrics['test']}")
answers = load("runs/in_python").predict(test[0][:5], verbose=0).argmax(axis=1)
print("predicted", answers, "labelled", test[1][:5])

# %% A published cell beside it, trained by Keras alone.
other = network("nasnet_a", classes=10, image_size=8, channels=1, repeats=1, filters=4)
other.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"], jit_compile=False
)
other.fit(*train, batch_size=250, epochs=1, verbose=2)
