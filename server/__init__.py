"""What runs the application: granian, its workers, and their way to the application."""
