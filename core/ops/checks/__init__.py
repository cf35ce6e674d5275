"""What `flask audit` checks, by subject: each check is a promise and the query that finds what breaks it."""
