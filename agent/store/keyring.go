package store

// service is what every item of nbhush in a keyring is filed under.
const service = "nbhush"
