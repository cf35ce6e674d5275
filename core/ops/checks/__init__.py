"""The checks of `flask audit`, by subject: each is a promise and the query that finds the rows which break it."""
