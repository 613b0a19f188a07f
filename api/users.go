package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/users"
)

// login is who is asking; empty for a stranger.
type login struct {
	userID string
	token  string
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
	return login{userID: session.UserID, token: token}, nil
}

type userBody struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func userOf(p users.Profile) userBody {
	return userBody{ID: p.ID, Email: p.Email, Name: p.Name, CreatedAt: p.CreatedAt}
}

func (a *API) register(c *gin.Context, _ login) error {
	var body struct {
		Email    string `json:"email"`
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	if err := a.take(c, registrationLimit, source.Of(c.Request.Context())); err != nil {
		return err
	}
	profile, err := a.cfg.Users.Register(c.Request.Context(), users.Registration(body))
	if err != nil {
		return err
	}
	c.Header("Location", "/v1/users/me")
	return answerJSON(c, http.StatusCreated, userOf(profile))
}

func (a *API) me(c *gin.Context, who login) error {
	profile, err := a.cfg.Users.Profile(c.Request.Context(), who.userID)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, userOf(profile))
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
	if err := a.cfg.Users.Logout(c.Request.Context(), who.token); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
