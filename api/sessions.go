package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/users"
)

// login is who is asking; empty for a stranger.
type login struct {
	userID    string
	sessionID string
	token     string
}

// signedIn returns who is asking: the customer of the session whose token the request bears.
func (a *API) signedIn(c *gin.Context) (who login, err error) {
	who.token, err = Bearer(c, func(ctx context.Context, token string) error {
		session, err := a.cfg.Users.Authenticate(ctx, token)
		who.userID, who.sessionID = session.UserID, session.ID
		return err
	})
	return who, err
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
