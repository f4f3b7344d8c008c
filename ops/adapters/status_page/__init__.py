"""The scheduler's status page: values in, one self-contained HTML document out."""
