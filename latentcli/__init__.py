"""Image classification, reconstruction and generation through the latent space of variational autoencoders.

    import latentcli as lc

    images  = lc.load("mnist", classes=["1", "4", "8"])
    vae     = lc.train(images, latent_dim=2, seed=0)
    latents = vae.encode(images)
    mixture = lc.fit_mixture(latents, labels_per_class=5)
    found   = lc.classify(lc.load("mnist", split="test", classes=["1", "4", "8"]), vae, mixture)
    print(found.scores())

Whatever the command line does, these functions do, and the same call gives the same bytes. Names are loaded when they
are first used: ``import latentcli`` alone loads neither torch nor scikit-learn. Import it before torch: it sets how
many threads torch starts, and how they wait for each other, unless the environment says so (``numerics.threads``).
"""

import lazy_loader

from latentcli.numerics import threads

__version__ = "0.1.0"

threads.settle()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
