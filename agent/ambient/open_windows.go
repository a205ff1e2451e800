package ambient

const nonblock = 0
