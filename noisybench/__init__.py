"""Label-noise benchmarks: build noisy variants, evaluate what a model memorizes, rank the detectors."""

import lazy_loader

# The stub beside this file lists the public names; each is imported where it is first used, so that
# ``noisybench --help`` waits for neither numpy nor torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
