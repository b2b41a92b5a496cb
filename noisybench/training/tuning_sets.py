"""Tuning sets: on what data a default was chosen, so that no figure on them is taken for one of other data."""

STEP_CHOSEN_ON = {
    "digits": "1,437 training digits of scikit-learn with the three noises of the quickstart, mlp",
    "cifar10": "first 1,500 training images of CIFAR-10, small_cnn, where no step helped",
}
"""Sets on which steps of the probe ``curvature`` had been compared when its default was chosen, and what each is."""
