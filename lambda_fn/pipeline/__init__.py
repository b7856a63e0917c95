"""The SageMaker pipeline step that stands in for training: script, contract, specification, config and builder.

Nothing is imported here, so that the script runs on the standard library alone and its contract without SageMaker.
"""
