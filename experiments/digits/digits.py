"""Classify the digits that scikit-learn ships, with one of two models."""

import trial
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

SEED = trial.seed % 2**32
MODELS = {
    "forest": RandomForestClassifier(n_estimators=100, random_state=SEED),
    "logistic": LogisticRegression(max_iter=300, random_state=SEED),
}


def main() -> None:
    """Fit a model several times, and test it."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images, labels, test_size=0.3, random_state=SEED)
    train_images, test_images, train_labels, test_labels = split
    model = MODELS[trial.parameters.get("model", "forest")]
    for _ in range(trial.parameters.get("fits", 5)):
        with trial.timed("fit_seconds"):
            model.fit(train_images, train_labels)
        with trial.timed("predict_seconds"):
            model.predict(test_images)
    trial.record(accuracy=100 * model.score(test_images, test_labels))


if __name__ == "__main__":
    main()
