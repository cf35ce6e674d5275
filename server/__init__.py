"""What runs the application: the workers, their supervisor, and the way from granian to the application."""
