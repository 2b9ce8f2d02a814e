"""The package, as settings.ini describes it."""
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
readme = here / "README.md"
extra = "_requirements"

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else cfg["description"],
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    keywords=cfg["keywords"].split(),
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=["Development Status :: 3 - Alpha", "Intended Audience :: Developers", "Intended Audience :: Education",
                 "Programming Language :: Python :: 3", "Topic :: Scientific/Engineering :: Artificial Intelligence"],
    packages=find_packages(include=["rabit", "rabit.*"]) + ["rabit.weights"],
    package_dir={"rabit.weights": "data/weights"},  # shipped weights: rabit/weights/NAME/ in the wheel
    package_data={"rabit": ["py.typed"], "rabit.weights": ["*/*"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require={key[:-len(extra)]: cfg[key].split() for key in cfg if key.endswith(extra)},
    entry_points={"console_scripts": cfg["console_scripts"].split(), "nbdev": ["rabit=rabit._modidx:d"],
                  "rabit.models": cfg["models"].split()},
    zip_safe=False,
)
