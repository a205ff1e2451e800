package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

const (
	hintUnlock = "nbhush agent unlock"
	hintList   = "nbhush list"
)

func fail(code api.Code, hint, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Message: fmt.Sprintf(format, args...), Mend: hint}
}

func notFound(name secret.Name) *api.Error {
	return fail(api.CodeNotFound, "nbhush set "+string(name), "no secret is called %s", name)
}

// apiError gives err the form that travels. What it did to what is the caller's
// to say, with a wrapped error.
func apiError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	hint := ""
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	var bad *secret.NameError
	switch {
	case errors.Is(err, store.ErrLocked):
		if hint == "" {
			hint = hintUnlock
		}
		return &api.Error{Code: api.CodeLocked, Message: err.Error(), Mend: hint}
	case errors.Is(err, store.ErrNotFound):
		return &api.Error{Code: api.CodeNotFound, Message: err.Error(), Mend: hint}
	case errors.As(err, &bad):
		return &api.Error{Code: api.CodeBadInput, Message: err.Error(), Mend: hint}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeInternal, Message: "the request took too long: " + err.Error()}
	}
	return &api.Error{Code: api.CodeInternal, Message: err.Error(), Mend: hint}
}

// storeError is apiError for what a store said.
func storeError(err error) *api.Error {
	e := apiError(err)
	if e.Code == api.CodeInternal {
		e.Code = api.CodeStore
		if e.Mend == "" {
			e.Mend = "nbhush doctor"
		}
	}
	return e
}

func statusOf(code api.Code) int {
	switch code {
	case api.CodeLocked:
		return http.StatusLocked
	case api.CodeDenied, api.CodeConsent:
		return http.StatusForbidden
	case api.CodeNotFound:
		return http.StatusNotFound
	case api.CodeBadInput:
		return http.StatusBadRequest
	case api.CodeVersion:
		return http.StatusUpgradeRequired
	case api.CodeStore, api.CodeProvider:
		return http.StatusBadGateway
	}
	if code == api.CodeWait {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
