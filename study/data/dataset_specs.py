"""The built-in data sets as frozen facts: shapes, classes, splits, sources, checksums. No I/O.

To add one that torchvision reads, add its `DatasetSpec` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class DatasetSpec:
    """What is known about a data set before it is read."""

    name: str
    title: str
    image_shape: tuple[int, int, int]
    """(channels, height, width) as a study sees the images."""
    class_names: tuple[str, ...]
    split: str
    """How train, validation and test are made, and how that differs from the report."""
    sizes: Mapping[str, int]
    """Images in train, val and test."""
    source: str
    licence: str
    validation: Literal["three_way", "stratified", "random", "official"]
    """Cut from the whole set with test; held out of the official training images, stratified or at random;
    or the official one."""
    torchvision_class: str | None = None
    """Name in `torchvision.datasets`; None is scikit-learn's bundled digits."""
    folder: str = ""
    """Where torchvision keeps it, below the data directory."""
    download_mib: int = 0
    image_files: tuple[str, int] | None = None
    """Pattern and number of separate image files, counted from 1."""
    md5: Mapping[str, str] = field(default_factory=dict)
    """Checksum of every other file in `folder`, as unpacked."""
    preparation: str | None = None
    """What is done to the images beyond reading them, where that is a choice of ours."""


DIGITS = DatasetSpec(
    name="digits",
    title="Digits (8×8, scikit-learn's copy of the UCI set)",
    image_shape=(1, 8, 8),
    class_names=tuple("0123456789"),
    split="70/15/15 train/validation/test of the 1,797 images, stratified, seeded; no report used this set.",
    sizes={"train": 1257, "val": 270, "test": 270},
    source="https://archive.ics.uci.edu/dataset/80 (bundled with scikit-learn)",
    licence="CC BY 4.0",
    validation="three_way",
    preparation="Pixels of 0 to 16 are scaled to 0 to 255, so that 16 becomes 1.0.",
)

MNIST = DatasetSpec(
    name="mnist",
    title="MNIST",
    image_shape=(1, 28, 28),
    class_names=tuple("0123456789"),
    split=(
        "10 % of the 60,000 training images held out for validation, stratified, seeded, and the official "
        "test set; a deviation: the report split 60/40 into train and evaluation, without saying of what."
    ),
    sizes={"train": 54_000, "val": 6_000, "test": 10_000},
    source="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0",
    validation="stratified",
    torchvision_class="MNIST",
    folder="MNIST/raw",
    download_mib=11,
    md5={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)

FASHION = DatasetSpec(
    name="fashion",
    title="Fashion-MNIST",
    image_shape=(1, 28, 28),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    split=(
        "10 % of the 60,000 training images held out for validation, stratified, seeded, and the official "
        "test set; a deviation: the report trained on all 60,000 and validated on the test images."
    ),
    sizes={"train": 54_000, "val": 6_000, "test": 10_000},
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    validation="stratified",
    torchvision_class="FashionMNIST",
    folder="FashionMNIST/raw",
    download_mib=30,
    md5={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)

CIFAR = DatasetSpec(
    name="cifar",
    title="CIFAR-10",
    image_shape=(3, 32, 32),
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    split=(
        "42,000/8,000 train/validation of the training images, random, seeded, and the official test set, as "
        "in the classifiers' report; a deviation from the autoencoders' report, which trained on all 50,000."
    ),
    sizes={"train": 42_000, "val": 8_000, "test": 10_000},
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    validation="random",
    torchvision_class="CIFAR10",
    folder="cifar-10-batches-py",
    download_mib=163,
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

_FLOWER_NAMES = """\
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

FLOWERS = DatasetSpec(
    name="flowers",
    title="Oxford Flowers-102 at 100×100",
    image_shape=(3, 100, 100),
    class_names=tuple(" ".join(name.split()) for name in _FLOWER_NAMES.split(";")),
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

DATASETS: Mapping[str, DatasetSpec] = MappingProxyType(
    {spec.name: spec for spec in (DIGITS, MNIST, FASHION, CIFAR, FLOWERS)}
)
