"""The service's mask methods as their papers and authors' code state them: plain, slow, in NumPy.

The service's masks are tested against these. `python -m dino_train.reference_masks FOLDER`
writes the test cases: drawn and random features, keys of a model on the pictures of test/golden,
and small pictures for the refinement.
"""

from .bilateral import bilateral_solve, refine_masks
from .cuts import maskcut, tokencut
from .lost import lost
from .parts import component_of, largest_part, mask_text
from .prompts import box_mask, otsu, point_mask
from .spectral import deep_spectral

__all__ = [
    "bilateral_solve",
    "box_mask",
    "component_of",
    "deep_spectral",
    "largest_part",
    "lost",
    "mask_text",
    "maskcut",
    "otsu",
    "point_mask",
    "refine_masks",
    "tokencut",
]
