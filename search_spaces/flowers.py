"""Oxford Flowers-102: 3×100×100 in 102 classes, 1,020 images for training, 1,020 for validation, 6,149 for testing.

Budget: 48 trials of up to 40 epochs (ae), 60 (vae) or 80 (classifier, after 30 as an autoencoder where the encoder is
pretrained); an epoch is a tenth of a small data set's, so there are more of them. Searched are the general
architectures with their layers, the code's size, the regularisation and the training, and the networks of the report
with their training; of a VAE the likelihood and the KL's weight and warm-up, of a classifier where its encoder comes
from. Fixed are the data and the epochs. No report ran a VAE on these images.

PCA of 1,020 images has at most 1,019 components, and those describe the training images alone. Ten images a class:
of a classifier, regularisation and augmentation matter more than the layers. The report's has 150 million parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces import _searches as searches
from search_spaces._dataset import DatasetSpec
from search_spaces._layers import LayerBounds
from search_spaces._reported import (
    ADAGRAD,
    ADAM,
    CLEAN,
    RMSPROP,
    SCHEDULE,
    SGD,
    SUPERVISED,
    UNPENALISED,
    Reported,
    ReportedSplit,
    Settings,
    entry,
)
from search_spaces._space import Space

_CLASS_NAMES = """\
pink primrose; hard-leaved pocket orchid; canterbury bells; sweet pea; english marigold; tiger lily;
moon orchid; bird of paradise; monkshood; globe thistle; snapdragon; colt's foot; king protea;
spear thistle; yellow iris; globe-flower; purple coneflower; peruvian lily; balloon flower;
giant white arum lily; fire lily; pincushion flower; fritillary; red ginger; grape hyacinth; corn poppy;
prince of wales feathers; stemless gentian; artichoke; sweet william; carnation; garden phlox;
love in the mist; mexican aster; alpine sea holly; ruby-lipped cattleya; cape flower; great masterwort;
siam tulip; lenten rose; barbeton daisy; daffodil; sword lily; poinsettia; bolero deep blue; wallflower;
marigold; buttercup; oxeye daisy; common dandelion; petunia; wild pansy; primula; sunflower; pelargonium;
bishop of llandaff; gaura; geranium; orange dahlia; pink-yellow dahlia?; cautleya spicata;
japanese anemone; black-eyed susan; silverbush; californian poppy; osteospermum; spring crocus;
bearded iris; windflower; tree poppy; gazania; azalea; water lily; rose; thorn apple; morning glory;
passion flower; lotus; toad lily; anthurium; frangipani; clematis; hibiscus; columbine; desert-rose;
tree mallow; magnolia; cyclamen; watercress; canna lily; hippeastrum; bee balm; ball moss; foxglove;
bougainvillea; camellia; mallow; mexican petunia; bromelia; blanket flower; trumpet creeper;
blackberry lily"""

DATASET = DatasetSpec(
    name="flowers",
    title="Oxford Flowers-102 at 100×100",
    image_shape=(3, 100, 100),
    class_names=tuple(" ".join(name.split()) for name in _CLASS_NAMES.split(";")),
    split=(
        "The official 1,020/1,020/6,149 train/validation/test, as in the report; "
        "a deviation: the report chose its settings on the test images, a study chooses on validation."
    ),
    sizes={"train": 1_020, "val": 1_020, "test": 6_149},
    source="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    licence="none stated",
    validation="official",
    torchvision_class="Flowers102",
    folder="flowers-102",
    download_mib=329,
    official_splits={split: {"split": split} for split in ("train", "val", "test")},
    image_files=("jpg/image_{:05d}.jpg", 8_189),
    md5={
        "imagelabels.mat": "e0620be6f572b9609742df49c70aed4d",
        "setid.mat": "a5357ecc9cb78c4bef273ce3793fc85c",
    },
    preparation=(
        "Shorter side scaled to 100 pixels (bilinear, antialiased), then the centre 100×100; "
        "the report does not say how."
    ),
)

_LAYERS = LayerBounds(
    dense_depth=2,  # 1,020 images train no more of layers with 30,000 inputs
    dense_width=(64, 512),  # 512 features of 30,000 pixels are 15 million weights on each side
    conv_depth=(2, 6),  # 100 pixels down to 25, or to 2; the report has 5
    conv_width=(8, 32),  # the report's 16 inside, 8 find edges; 32 are 1,024 channels in the sixth stage
    residual_blocks=2,
)
_BATCH_SIZE = (8, 128)  # the report's 128 are 8 steps an epoch, 8 are 127
_CONV = {
    "architecture": "conv",
    "depth": 4,
    "width": 16,
    "kernel_size": 3,
    "batch_norm": True,
    "batch_size": 32,
}


_FLOWERS_SPLIT = ReportedSplit(
    1_020, 0, "The official 1,020 training images, no validation split: of the official one the report says nothing."
)
_FLOWERS: Settings = {"latent_size": 6400, "batch_norm": True, "dropout": 0.0, "batch_size": 128, **SCHEDULE}
_FLOWERS_NOTE = (
    "Not given, chosen: batch size 128, which its comments show; dropout after the classifier's hidden linear layers "
    "alone; L2 in both stages. It chose its settings by looking at the test images."
)
_FLOWERS_AE_EPOCHS = " Of its epochs it names 30, in the comparisons, 40, of the final model, and 100, in the code: 30."
_FLOWERS_RATE = " The learning rate is named for Adam only: the same 0.001 chosen, as its code sets it."


def _flowers_classifier(
    first: Settings, then: Settings, epochs: int = 30, *, words: str = "", **changes: Any
) -> Reported:
    before = {f"pretrain_{key}": value for key, value in first.items()}
    source = {"architecture": "flowers/classifier", "encoder": "pretrained", "encoder_training": "fine_tuned"}
    note = _FLOWERS_NOTE + words
    parts = (_FLOWERS, SUPERVISED, source, before, then)
    left = ["batch_size"]
    left += ["places of dropout"] * bool(changes.get("dropout"))
    left += ["L2 in the first stage"] * bool(then["weight_decay"])
    left += ["lr"] * (_FLOWERS_RATE in words)
    return entry(
        DATASET,
        "classifier",
        (epochs, epochs),
        note,
        *parts,
        split=_FLOWERS_SPLIT,
        open_choices=tuple(left),
        **changes,
    )


def _flowers() -> Iterator[tuple[str, Reported]]:
    layers = {"architecture": "flowers/ae", **_FLOWERS, **CLEAN, **UNPENALISED}
    for suffix, optimizer, words, left in (
        ("", ADAM, "", ("batch_size", "epochs")),
        ("_adagrad", ADAGRAD, _FLOWERS_RATE, ("batch_size", "epochs", "lr")),
    ):
        note = _FLOWERS_NOTE + words + _FLOWERS_AE_EPOCHS
        config = entry(
            DATASET,
            "ae",
            (30,),
            note,
            layers,
            optimizer,
            split=_FLOWERS_SPLIT,
            open_choices=left,
            in_search=optimizer is ADAM,
        )
        yield f"flowers/ae{suffix}", config
    yield "flowers/batch_norm", _flowers_classifier(ADAM, ADAM)
    yield "flowers/no_batch_norm", _flowers_classifier(ADAM, ADAM, batch_norm=False)
    for optimizer in (SGD, ADAGRAD, RMSPROP):
        yield f"flowers/{optimizer['optimizer']}", _flowers_classifier(optimizer, optimizer, words=_FLOWERS_RATE)
    yield "flowers/adam", _flowers_classifier(ADAM, ADAM, words=" The same configuration as flowers/batch_norm.")
    for p in (0.25, 0.5, 0.75):
        yield f"flowers/adagrad_dropout{p}", _flowers_classifier(ADAGRAD, ADAGRAD, words=_FLOWERS_RATE, dropout=p)
    for l2 in (0.007, 0.01):
        optimizer = {**ADAGRAD, "weight_decay": l2}
        yield f"flowers/adagrad_l2_{l2}", _flowers_classifier(optimizer, optimizer, words=_FLOWERS_RATE)
    final = _flowers_classifier(ADAM, ADAGRAD, 40, words=_FLOWERS_RATE, dropout=0.25)
    yield "flowers/final", final
    scratch = {key: value for key, value in final.config.items() if not key.startswith(("pretrain_", "encoder_"))}
    words = " As printed, the second stage builds a fresh autoencoder: this is the final model without the first."
    yield (
        "flowers/final_scratch",
        entry(
            DATASET,
            "classifier",
            (40,),
            final.note + words,
            scratch,
            split=_FLOWERS_SPLIT,
            encoder="scratch",
            open_choices=(*final.open_choices, "encoder"),
        ),
    )


REPORTED = dict(_flowers())

SPACES = (
    Space(
        data=DATASET,
        family="ae",
        description="dense, convolutional and PCA-based autoencoders and the report's, codes of 16 to 512 numbers",
        trials=48,
        epochs=40,
        search=searches.AutoencoderSearch(
            _LAYERS,
            latent_size=(16, 512),  # 16 are blots of colour; with 512 there are two training images to a component
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_AE, **_CONV, "latent_size": 256, "output_activation": "none", "lr": 2e-3},
        reported=REPORTED,
    ),
    Space(
        data=DATASET,
        family="vae",
        description="dense and convolutional VAEs, codes of 8 to 256 numbers",
        trials=48,
        epochs=60,
        search=searches.VaeSearch(
            _LAYERS,
            latent_size=(8, 256),  # 8 are colours; more than 256 of 1,020 images are learnt by heart
            batch_size=_BATCH_SIZE,
        ),
        default={**searches.DEFAULT_VAE, **_CONV, "latent_size": 64},
    ),
    Space(
        data=DATASET,
        family="classifier",
        description="CNNs, dense and convolutional encoders and the report's, from scratch, pretrained or joint",
        trials=48,
        epochs=80,
        pretrain_epochs=30,
        search=searches.ClassifierSearch(
            _LAYERS,
            cnn_depth=(4, 6),  # 100 pixels down to 13, or to 4, where the report's encoder ends too
            cnn_width=(16, 48),  # the report's 16 inside; 48 are 1,536 channels in the sixth stage
            cnn_blocks=2,  # CIFAR-10's networks gain by a second; with six stages these are 36 convolutions
            long_training=True,  # after 150 epochs mixup has 55.6 % where there are 49.7 without, and cutmix 45.2
            latent_size=(64, 512),  # from fewer than the 102 classes to half as many as images
            batch_size=_BATCH_SIZE,
            highest_dropout=0.75,  # the report went as far, and lost by it
        ),
        default={
            **searches.DEFAULT_CLASSIFIER,
            "depth": 5,
            "width": 16,
            "dropout": 0.3,
            "label_smoothing": 0.1,
            "augmentation": "shift_flip",
            "optimizer": "adamw",
            "lr": 2e-3,
            "weight_decay": 0.01,
            "batch_size": 32,
        },
        reported=REPORTED,
    ),
)
