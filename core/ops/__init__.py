"""What runs and watches the service: audit, doctor, background jobs, figures, demo goods."""
