"""Images through a trained model: what their classes are, and how well model and classifier do."""
