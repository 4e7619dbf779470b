"""Questions in languages that are not to be kept."""

import random

_TEXTS = {
    "fr": (
        "J'ai acheté chez vous une tente pour {n} personnes, et le tapis de sol est déjà déchiré après {m} nuits en montagne.",
        "Depuis la mise à jour du {n} mars, le logiciel n'affiche plus nos {m} factures et je dois me reconnecter sans cesse.",
        "Pouvez-vous me dire combien coûte la réparation de ce vélo de {m} ans, et s'il faut attendre {n} semaines ?",
    ),
    "es": (
        "Compré en su tienda una bicicleta para {n} personas y los frenos ya no funcionan después de {m} kilómetros de montaña.",
        "Desde la actualización del {n} de marzo el programa ya no muestra nuestras {m} facturas y tengo que entrar otra vez.",
        "¿Me pueden decir cuánto cuesta la reparación de esta mochila de {m} años y si hay que esperar {n} semanas?",
    ),
    "ja": (
        "先月そちらの店で{n}人用のテントを買いましたが、{m}回使っただけで床の生地が破れてしまいました。",
        "{n}月の更新のあとから、請求書の一覧が表示されず、{m}分ごとにログインし直さなければなりません。",
        "この自転車は{m}年前に買ったものですが、修理にはいくらかかりますか。{n}週間ほど待てばよいでしょうか。",
    ),
    "ru": (
        "В прошлом месяце я купил у вас палатку на {n} человек, и после {m} ночей в горах дно уже порвалось.",
        "После обновления от {n} марта программа больше не показывает наши {m} счетов, и мне приходится входить заново.",
        "Сколько стоит ремонт этого велосипеда, которому уже {m} лет, и нужно ли ждать {n} недель?",
    ),
}
_ANSWERS = {
    "fr": "Envoyez-nous s'il vous plaît une photo de l'étiquette, et nous vous répondrons dans les {n} jours qui suivent.",
    "es": "Envíenos por favor una foto de la etiqueta y le responderemos en los próximos {n} días laborables.",
    "ja": "お手数ですが、ラベルの写真をお送りください。{n}日以内にご返事いたします。",
    "ru": "Пришлите нам, пожалуйста, фотографию этикетки, и мы ответим вам в течение {n} дней.",
}


def foreign(chance: random.Random) -> tuple[str, str]:
    """A question and its answer, in one of four other languages."""
    language = chance.choice(list(_TEXTS))
    asked = chance.choice(_TEXTS[language]).format(n=chance.randint(2, 30), m=chance.randint(31, 999))
    return asked, _ANSWERS[language].format(n=chance.randint(2, 30))
