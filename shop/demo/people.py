"""Buyers that there never were: names, towns, addresses and wishes, drawn from a source of chance."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

EN_FIRST = (
    "Ada Alice Amelia Arthur Benjamin Catherine Charles Charlotte Daniel Edith Edward Eleanor Emily Florence Frances "
    "George Grace Hannah Harold Helen Henry Isaac Jack James Jane Joan John Joseph Judith Laura Leonard Lucy Margaret "
    "Martha Mary Matthew Nora Oliver Oscar Patrick Paul Peter Philip Rachel Ralph Robert Rose Ruth Samuel Sarah Simon "
    "Stephen Susan Thomas Victor Violet Walter William Winifred Zoë José Éva François Jürgen Søren Łukasz Renée"
).split()
EN_LAST = (
    "Adams Allen Archer Baker Barnes Bell Bennett Blake Booth Bradley Brooks Brown Burton Butler Byrne Carter Chapman "
    "Clarke Cole Cooper Cox Cunningham Davies Dawson Dixon Edwards Elliott Ellis Evans Fisher Fletcher Ford Foster "
    "Fraser Gibson Gordon Graham Grant Gray Green Griffiths Hall Hamilton Harper Harris Harrison Hart Harvey Hayes "
    "Henderson Hill Holmes Hughes Hunter Jackson Jenkins Johnson Jones Kelly Kennedy King Knight Lane Lawrence Lewis "
    "Macdonald Marshall Martin Mason Matthews Miller Mills Mitchell Moore Morgan Morris Murphy Murray Newman O’Brien "
    "O’Connor Palmer Parker Pearce Perry Phillips Porter Powell Price Reid Richards Roberts Robinson Rogers Rose Ross "
    "Russell Scott Shaw Simpson Smith Spencer Stevens Stewart Stone Taylor Thompson Turner Walker Ward Watson Webb "
    "West White Wilkinson Williams Wilson Wood Wright Young Müller García Lefèvre Novák Sørensen Saint-Clair"
).split()
RU_WOMEN = (
    "Анна Мария Елена Ольга Наталья Татьяна Ирина Екатерина Светлана Людмила Галина Нина Вера Надежда Любовь Алёна "
    "Полина Дарья Софья Ксения Варвара Зоя Фёкла Майя Юлия"
).split()
RU_MEN = (
    "Александр Сергей Владимир Андрей Алексей Дмитрий Николай Иван Михаил Павел Пётр Фёдор Семён Артём Лев Григорий "
    "Виктор Юрий Олег Илья Максим Глеб Борис Константин Геннадий"
).split()
RU_LAST = (
    "Иванов Смирнов Кузнецов Попов Соколов Лебедев Козлов Новиков Морозов Петров Волков Соловьёв Васильев Зайцев "
    "Павлов Семёнов Голубев Виноградов Богданов Воробьёв Фёдоров Михайлов Беляев Тарасов Белов Комаров Орлов Киселёв "
    "Макаров Андреев Ковалёв Ильин Гусев Титов Кузьмин Кудрявцев Баранов Куликов Алексеев Степанов Яковлев Сорокин "
    "Сергеев Романов Захаров Борисов Королёв Герасимов Пономарёв Григорьев Лазарев Медведев Ершов Никитин Соболев "
    "Рябов Поляков Цветков Данилов Жуков Фролов Журавлёв Николаев Крылов Максимов Сидоров Осипов Белоусов Федотов "
    "Дорофеев Егоров Матвеев Бобров Дмитриев Калинин Анисимов Пётухов Антонов Тимофеев Никифоров Веселов Филиппов "
    "Марков Большаков Суханов Миронов Ширяев Александров Коновалов Шестаков Казаков Ефимов Денисов Громов Фомин "
    "Елкин Ёлкин Йорданов"
).split()
TOWNS = {
    "GB": (
        "London London London Manchester Birmingham Leeds Glasgow Edinburgh Bristol Liverpool Oxford Cambridge York "
        "Cardiff Norwich Brighton Durham Exeter Sheffield Nottingham"
    ).split(),
    "US": (
        "Boston Chicago Seattle Portland Austin Philadelphia Brooklyn Madison Ithaca Berkeley Princeton Baltimore "
        "Denver Pittsburgh Minneapolis"
    ).split(),
    "CA": "Toronto Montréal Vancouver Ottawa Halifax".split(),
    "DE": "Berlin Hamburg München Köln Leipzig Göttingen Tübingen".split(),
    "FR": "Paris Lyon Strasbourg Lille Saint-Étienne".split(),
    "IE": "Dublin Cork Galway".split(),
    "NL": "Amsterdam Utrecht Leiden".split(),
    "CH": "Zürich Genève Bern".split(),
    "IL": "Jerusalem Haifa".split(),
    "AU": "Melbourne Sydney Perth".split(),
    "FI": "Helsinki Turku Jyväskylä".split(),
    "EE": "Tallinn Tartu".split(),
    "LV": ["Rīga"],
    "PL": "Warszawa Kraków Łódź".split(),
    "ES": "Madrid Barcelona Málaga".split(),
}
ELSEWHERE = "Newtown Port Milltown Riverside Oldbridge".split()
STREETS = (
    "High Street,Station Road,Church Lane,Victoria Road,Mill Lane,Park Avenue,Queen Street,School Lane,The Green,"
    "College Road,Bridge Street,Garden Court"
).split(",")
DOMAINS = ("mail.example", "mail.example", "mail.example", "post.example", "example.org", "university.example")
EN_NOTES = (
    "Please write: For Margaret, with love from {name}.",
    "A gift: please leave the invoice out of the parcel.",
    "Dedication, if the author is there: To {name}.",
    "Please ring the bell twice.",
)
RU_NOTES = (
    "Пожалуйста, подпишите: «Дорогой бабушке от внуков».",
    "Это подарок, не вкладывайте, пожалуйста, счёт.",
    "Посвящение: «{name} — на добрую память».",
    "Оставьте, пожалуйста, у соседей.",
)
LATIN = str.maketrans(
    dict(
        zip(
            "абвгдежзийклмнопрстуфхцчшщъыьэюяё",
            "a b v g d e zh z i i k l m n o p r s t u f kh ts ch sh shch - y - e iu ia e".split(),
            strict=True,
        )
    )
)


@dataclass(frozen=True, slots=True)
class Person:
    """A buyer and where the parcel goes."""

    name: str
    email: str
    phone: str
    line1: str
    line2: str
    city: str
    state: str
    postal_code: str
    country: str
    purchase_order: str
    note: str


def person(chance: Random, language: str, country: str) -> Person:
    """Somebody who orders in a language and lives in a country."""
    if language == "ru":
        last = chance.choice(RU_LAST)
        if chance.random() < 0.55:
            first, last = chance.choice(RU_WOMEN), last + "а"
        else:
            first = chance.choice(RU_MEN)
    else:
        first, last = chance.choice(EN_FIRST), chance.choice(EN_LAST)
    name = f"{first} {last}"
    digits = chance.randrange(10_000)
    plain = f"{first}.{last}".lower().translate(LATIN).replace("-", "").replace("’", "")
    email = f"{plain.encode('ascii', 'ignore').decode()}{digits}@{chance.choice(DOMAINS)}"
    drawn = chance.random()
    note = chance.choice(RU_NOTES if language == "ru" else EN_NOTES).format(name=first) if drawn < 0.12 else ""
    number = chance.randrange(1, 100_000)
    return Person(
        name=name,
        email=email,
        phone=f"+44 20 7946 {digits:04d}" if drawn > 0.7 else "",
        line1=f"{chance.randrange(1, 200)} {chance.choice(STREETS)}",
        line2=f"Flat {chance.randrange(1, 40)}" if drawn > 0.8 else "",
        city=chance.choice(TOWNS.get(country, ELSEWHERE)),
        state=chance.choice(("MA", "NY", "CA", "IL", "WA")) if country == "US" else "",
        postal_code=f"{number:05d}" if country != "GB" else f"N{number % 20 + 1} {number % 9}AB",
        country=country,
        purchase_order=f"PO-{2023 + digits % 4}/{number:05d}" if drawn > 0.97 else "",
        note=note,
    )
