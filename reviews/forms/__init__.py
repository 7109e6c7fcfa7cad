"""What the set-up pages take: text from a browser made into the data that services check. Shape
only; whether the whole makes sense is the service's to say, and put_errors() puts that beside the
field it concerns."""
