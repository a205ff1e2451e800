package provider

import (
	"bytes"
	"encoding/json"

	"github.com/nbhush/nbhush/agent/secret"
)

// parseBitwarden reads an item as bw prints it.
func parseBitwarden(b []byte) (Document, error) {
	var item struct {
		Notes string `json:"notes"`
		Login struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"login"`
		Fields []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"fields"`
	}
	if json.NewDecoder(bytes.NewReader(b)).Decode(&item) != nil {
		return Document{}, Failure(Malformed, ReasonNone)
	}
	doc := Document{Value: secret.New([]byte(item.Login.Password)), Fields: map[string]secret.Value{}}
	add := func(key, v string) {
		if v != "" {
			doc.Fields[key] = secret.New([]byte(v))
		}
	}
	for _, f := range item.Fields {
		add(f.Name, f.Value)
	}
	add("notes", item.Notes)
	add("username", item.Login.Username)
	add("password", item.Login.Password)
	return doc, nil
}
