"""What the services share: configuration, problem responses, logs, start-up."""
