package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/users"
)

// login is who is asking; empty for a stranger.
type login struct {
	userID    string
	sessionID string
	token     string
}

// signedIn returns who is asking: the customer of the session whose token the request bears. Only a token that was sent can be called
// invalid (RFC 6750, section 3.1).
func (a *API) signedIn(c *gin.Context) (login, error) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return login{}, fault.New(fault.Unauthenticated, "no_session", "send Authorization: Bearer with the token of a session")
	}
	session, err := a.cfg.Users.Authenticate(c.Request.Context(), token)
	if fault.KindOf(err) == fault.Unauthenticated {
		c.Header("WWW-Authenticate", challenge+`, error="invalid_token"`)
	}
	if err != nil {
		return login{}, err
	}
	return login{userID: session.UserID, sessionID: session.ID, token: token}, nil
}

func (a *API) login(c *gin.Context, _ login) error {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	token, session, err := a.passLogin(c, body.Email, body.Password)
	a.limitMetrics.countLogin(err)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}{token, session.ExpiresAt})
}

// passLogin logs in within the limits, and notes whose account it was tried for, which only the log is told.
func (a *API) passLogin(c *gin.Context, email, password string) (token string, session users.Session, err error) {
	try, err := a.beginLogin(c, email)
	if err != nil {
		return "", users.Session{}, err
	}
	token, session, err = a.cfg.Users.Login(c.Request.Context(), email, password, c.Request.UserAgent())
	try.end(err)
	exchangeOf(c).by(session.UserID)
	return token, session, err
}

func (a *API) logout(c *gin.Context, who login) error {
	return noContent(c, a.cfg.Users.Logout(c.Request.Context(), who.token))
}

func (a *API) logoutEverywhere(c *gin.Context, who login) error {
	return noContent(c, a.cfg.Users.RevokeAll(c.Request.Context(), who.userID))
}

func (a *API) endSession(c *gin.Context, who login) error {
	return noContent(c, a.cfg.Users.EndSession(c.Request.Context(), who.userID, c.Param("id")))
}

type sessionBody struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Current   bool      `json:"current"`
	Source    string    `json:"source,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

func (a *API) sessions(c *gin.Context, who login) error {
	open, err := a.cfg.Users.Sessions(c.Request.Context(), who.userID)
	if err != nil {
		return err
	}
	listed := make([]sessionBody, len(open))
	for i, s := range open {
		listed[i] = sessionBody{
			ID: s.ID, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, Current: s.ID == who.sessionID, Source: s.Source, UserAgent: s.UserAgent,
		}
	}
	return answerJSON(c, http.StatusOK, struct {
		Sessions []sessionBody `json:"sessions"`
	}{listed})
}

// noContent answers that something was done, unless it was not.
func noContent(c *gin.Context, err error) error {
	if err == nil {
		c.Status(http.StatusNoContent)
	}
	return err
}
