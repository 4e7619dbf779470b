"""The model in the form that it is trained in, and what is written of it. One rule: everything that is trained is float32."""
